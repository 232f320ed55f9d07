"""What an exported run costs and what it is worth, beside PyTorch, on one thread

    python bench/export_speed.py                    both tables
    python bench/export_speed.py --part speed       seconds a picture: PyTorch, onnxruntime, OpenVINO
    python bench/export_speed.py --part precision   weights in 32, 16 and 8 bits: bytes, seconds, truth and texture

Seconds are CPU seconds of this process, the least of several calls, taken in turns in one process. PyTorch does what
`translate` does, with its fused layers and in pieces where a picture is large; both runtimes read the graphs of
`export_run`. Differences are the largest of one picture, of colours between -1 and 1. Eight bits: activations and
weights of every convolution and product, with ranges from painted scenes (static), or measured anew each time
(dynamic). All are judged on the same painted scenes, of which the true paintings are known."""
import os
for name,value in dict(OMP_WAIT_POLICY='passive', OMP_NUM_THREADS='1').items(): os.environ.setdefault(name, value)
import argparse, logging, shutil, tempfile, time
from functools import partial
from pathlib import Path
import numpy as np, torch
from latent_style.basics import optional
from latent_style.eval import truth_table
from latent_style.exporting import export_run
from latent_style.method import load_run, translate
from latent_style.painted import paint
from latent_style.scenes import paint_scenes
from latent_style.shipped import run_folder
from latent_style.standalone import Painter

RUNS = dict(impressionist='impressionist', five='swirl', flow='woodcut')      # run in the package -> its target
SIDES = 256, 512, 1024
LEARN,JUDGE = 8, 24      # scenes that set the ranges of eight bits, and others that judge
TESTED = 60              # seed of the scenes that judge
ort = optional('onnxruntime', 'onnx')

# Two more ways to run the graphs

class Vino(Painter):
    "The same program over OpenVINO"
    precision = 'f32'        # by itself it would take bfloat16 where the processor has it
    def run(self, name, **inputs):
        if name not in self.sessions:
            core,how = optional('openvino', 'onnx').Core(), dict(INFERENCE_PRECISION_HINT=self.precision,
                                                                 INFERENCE_NUM_THREADS=1, NUM_STREAMS=1)
            self.sessions[name] = core.compile_model(str(self.folder/f'{name}.onnx'), 'CPU', how)
        return self.sessions[name](inputs)[0].copy()

class Heard(Painter):
    "onnxruntime, and what each graph was given"
    def __init__(self, folder):
        super().__init__(folder, threads=1)
        self.given = {}
    def run(self, name, **inputs):
        self.given.setdefault(name, []).append(inputs)
        return super().run(name, **inputs)

# Clocks

def spent(f):
    "What a call returns, and its CPU seconds"
    start = time.process_time()
    made = f()
    return made,time.process_time()-start

def raced(ways, repeat):
    "Functions by name, in turns: what each returns, and the least seconds"
    made = {name: f() for name,f in ways.items()}           # the first calls are slower: they open graphs
    turns = [{name: spent(f)[1] for name,f in ways.items()} for _ in range(repeat)]
    return made,{name: min(turn[name] for turn in turns) for name in ways}

def picture(side): return paint(paint_scenes(1, seed=5), 'photo', side)[0].contiguous()

def apart(a, b): return float(np.abs(np.asarray(a)-np.asarray(b)).max())

# Seconds a picture

def whole_ways(t, folder, to, x):
    "From picture to picture with all three"
    tell = dict(to=to, seed=1)
    return dict(PyTorch=lambda: translate(t, x, progress=False, **tell)[0].numpy(),
                onnxruntime=partial(Painter(folder, threads=1), x.numpy(), **tell),
                OpenVINO=partial(Vino(folder), x.numpy(), **tell))

def codec_ways(t, folder, to, x):
    "There and back through the codec alone"
    def graphs(painter): return painter.run('decode', latent=painter.run('encode', picture=x[None].numpy()))[0]
    return dict(PyTorch=lambda: t.codec.decode(t.codec.encode(x[None]))[0].numpy(),
                onnxruntime=partial(graphs, Painter(folder, threads=1)), OpenVINO=partial(graphs, Vino(folder)))

def speed_table(folders, sides, repeat):
    print(f'{"":23}{"CPU seconds a picture":>36}{"largest difference":>26}')
    names = 'PyTorch','onnxruntime','OpenVINO'
    print(f'{"run":16}{"side":>7}', *(f'{name:>12}' for name in names), *(f'{name:>13}' for name in names[1:]), sep='')
    for run,ways in [('codec', codec_ways), *((run, whole_ways) for run in folders)]:
        name = run if run in folders else next(iter(folders))
        t = load_run(run_folder(f'demo:{name}'), device='cpu')
        for side in sides:
            with torch.no_grad(): made,least = raced(ways(t, folders[name], RUNS[name], picture(side)), repeat)
            far = [apart(made[k], made['PyTorch']) for k in names[1:]]
            print(f'{run:16}{side:7}', *(f'{least[k]:12.3f}' for k in names), *(f'{v:13.1e}' for v in far), sep='',
                  flush=True)

# Weights and activations in fewer bits

class Reader:
    "What graphs were given, one after the other, as the calibration asks for it"
    def __init__(self, given): self.given = iter(given)
    def get_next(self): return next(self.given, None)

def prepared(file):
    "A graph with the shapes written into it, as quantization wants it; a temporary file"
    from onnxruntime.quantization.shape_inference import quant_pre_process
    out = file.with_suffix('.shapes.onnx')
    quant_pre_process(str(file), str(out), skip_symbolic_shape=True)
    return out

def eight_bits(folder, out, given=None): # what each graph was given: fixed ranges; None: measured anew
    "A copy of an exported run whose convolutions and products are in eight bits"
    from onnxruntime import quantization as q
    shutil.copytree(folder, out)
    for file in sorted(out.glob('*.onnx')):
        if given and file.stem not in given:
            file.unlink()                                  # the other target: nobody has called it
            continue
        ready,kinds = prepared(file),['Conv','MatMul','Gemm']
        if given: q.quantize_static(str(ready), str(file), Reader(given[file.stem]), per_channel=True,
                                    op_types_to_quantize=kinds, activation_type=q.QuantType.QUInt8)
        else: q.quantize_dynamic(str(ready), str(file), op_types_to_quantize=kinds, per_channel=True)
        ready.unlink()
    return out

def precisions(run, folder, top):
    "Folders with one run in four precisions"
    plain,heard = top/f'{run}_32',Heard(folder)
    export_run(f'demo:{run}', plain, half=False)
    for x in paint(paint_scenes(LEARN, seed=3), 'photo', 256): heard(x.numpy(), RUNS[run])
    return {'32 bits': plain, '16 bits, stored': folder, '8 bits, dynamic': eight_bits(plain, top/f'{run}_dynamic'),
            '8 bits, static': eight_bits(plain, top/f'{run}_static', heard.given)}

def bytes_of(folder, asked): return sum((folder/f'{name}.onnx').stat().st_size for name in asked)/1e6

def judged(painters, run):
    "Rows of the truth table, by name of a precision"
    scenes = paint_scenes(JUDGE, seed=TESTED)
    source,truth = (paint(scenes, d, 256) for d in ('photo',RUNS[run]))
    made = {k: torch.stack([torch.from_numpy(p(x.numpy(), RUNS[run])) for x in source]) for k,p in painters.items()}
    codec = load_run(run_folder(f'demo:{run}'), device='cpu').codec
    return {row['row']: row for row in truth_table(made, truth, source, codec)},made

def precision_table(folders, top, repeat):
    print(f'{"run":15}{"weights":18}{"MB":>5}{"onnxruntime":>12}{"OpenVINO":>10}{"difference":>11}{"mean":>8}'
          f'{"truth":>7}{"texture":>9}')
    for run,folder in folders.items():
        each = precisions(run, folder, top)
        rows,made = judged({k: Painter(f, threads=1) for k,f in each.items()}, run)
        x = picture(256).numpy()
        ways = {(k,kind): partial(kind(f, threads=1), x, RUNS[run]) for k,f in each.items() for kind in (Painter,Vino)}
        _,least = raced(ways, repeat)
        heard = Heard(folder)
        heard(x, RUNS[run])
        for k,f in each.items():
            far = (made[k]-made['32 bits']).abs()
            print(f'{run:15}{k:18}{bytes_of(f, heard.given):5.1f}{least[k,Painter]:12.3f}{least[k,Vino]:10.3f}'
                  f'{far.max():11.4f}{far.mean():8.4f}{rows[k]["score"]:7.2f}{rows[k]["texture"]:9.2f}', flush=True)

def main():
    p = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    p.add_argument('--part', choices=('speed','precision','both'), default='both')
    p.add_argument('--runs', nargs='+', choices=RUNS, default=list(RUNS))
    p.add_argument('--sides', nargs='+', type=int, default=SIDES)
    p.add_argument('--repeat', type=int, default=5)
    o = p.parse_args()
    torch.set_num_threads(1)
    logging.getLogger().setLevel(logging.ERROR)             # quantization advises at length
    with tempfile.TemporaryDirectory() as tmp:
        folders = {run: Path(tmp)/run for run in o.runs}
        for run,folder in folders.items(): export_run(f'demo:{run}', folder)
        print(f'one thread of a processor with {torch.backends.cpu.get_cpu_capability()}')
        if o.part != 'precision': speed_table(folders, o.sides, o.repeat)
        if o.part == 'both': print()
        if o.part != 'speed': precision_table(folders, Path(tmp), o.repeat)

if __name__ == '__main__': main()
