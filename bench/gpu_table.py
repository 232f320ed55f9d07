"""The table of `python bench/step_speed.py --device cuda`: what a training step takes on a GPU.

Every row is a preset of a method as `train` builds it, with its own batch, on latents of 4x32x32 (256x256 pixels;
noise, for the numbers do not matter here) or pictures of the preset's size. A step is timed twice: on one batch that
lies on the device, and with the batches that the data give. The share of the peak compares the step's floating-point
operations (products and convolutions, as PyTorch counts them) with those of one large matrix product in the same
precision, measured here. The memory is what tensors took at most, and what PyTorch's allocator took from the device for
them; `gpu8` presets get no more than 8 GB, less what the driver takes for itself. Where there is no room the row says
so."""
import gc, statistics, tempfile, time
from pathlib import Path
from types import SimpleNamespace
import numpy as np
import torch
from PIL import Image
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils.flop_counter import flop_registry
from latent_style.devices import arithmetic, compile_nets
from latent_style.method import build, module_of, options_of
from latent_style.store import pack_latents

GB8 = 8*2**30
PRESETS = ['cyclegan:gpu8','stargan:gpu8','otcfm:gpu8','pixels:gpu8']
QUIET = dict(progress=False, sample_every=0, ckpt_every=0, log_every=10**9)
COLUMNS = ['preset','precision','batch','ms/step','ms/step, with data','TFLOP/step','of the peak','memory, GB',
           '8 GB hold it']

def noise_latents(folder, domains=4, n=300, side=32):
    "A store of latents of noise"
    rng = torch.Generator().manual_seed(0)
    for k in range(domains):
        (folder/f'raw/{k}').mkdir(parents=True)
        for i,z in enumerate(torch.randn(n, 4, side, side, generator=rng)):
            torch.save(z.clone(), folder/f'raw/{k}/{i:04d}.pt')
    pack_latents(folder/'raw', folder/'latents', 'tiny', scaled=True, progress=False)
    return folder/'latents'

def noise_pictures(folder, domains=3, n=48, side=160):
    "Folders of coarse noise, as JPEG"
    rng = np.random.default_rng(0)
    for k in range(domains):
        (folder/f'pictures/{k}').mkdir(parents=True)
        for i in range(n):
            coarse = Image.fromarray(rng.integers(0, 256, (20,20,3), dtype=np.uint8))
            coarse.resize((side,side), Image.BICUBIC).save(folder/f'pictures/{k}/{i:03d}.jpg')
    return folder/'pictures'

def learner_of(name, preset, data, path, **more):
    "A learner as the method's `train` builds it, before its first step; and its options"
    module = module_of(name)
    given = dict(data=str(data), path=str(path), preset=preset, **QUIET, **more)
    if name == 'cyclegan': given['domains'] = ['0','1']
    if 'health_every' in options_of(module.train, given): given['health_every'] = 0
    options = options_of(module.train, given)
    for k in ('evaluate','cbs','kimg','images'): options.pop(k)
    o = SimpleNamespace(**options, kimg=None, images=None)
    learn = build(module.METHOD, o)
    learn.stop,learn.heard,learn.wishes = False,None,torch.zeros(1, device=learn.device)
    learn('before_fit')
    return learn,o

class Operations(TorchDispatchMode):
    "Counts the floating-point operations of products and convolutions (`FlopCounterMode` allows no second derivatives)"
    def __init__(self):
        super().__init__()
        self.total = 0
    def __torch_dispatch__(self, func, types, args=(), kwargs=None):
        out = func(*args, **kwargs or {})
        count = flop_registry.get(func.overloadpacket)
        if count: self.total += count(*args, **kwargs or {}, out_val=out)
        return out

def wait(device):
    if device.type != 'cpu': getattr(torch, device.type).synchronize()

def seconds(f, device, reps, rounds=3):
    "Median over some rounds of the mean time of a call"
    times = []
    for _ in range(rounds):
        wait(device)
        start = time.perf_counter()
        for _ in range(reps): f()
        wait(device)
        times.append((time.perf_counter()-start)/reps)
    return statistics.median(times)

def peak(device, dtype, n=8192):
    "Floating-point operations a second of a large matrix product"
    if device.type == 'cpu': n = 512
    a,b = (torch.randn(n, n, device=device).to(dtype) for _ in 'ab')
    for _ in range(3): a@b
    return 2*n**3/seconds(lambda: a@b, device, 10)

def peaks(device):
    "The same for each precision of a run; fp32 as runs have it, which is in TF32 where the device has that"
    kinds = dict(fp32=torch.float32, bf16=torch.bfloat16)
    with arithmetic(tf32=True): return {k: peak(device, kind) for k,kind in kinds.items()}

def memory(device):
    "Bytes that tensors took at most, that the allocator took at most, and that the driver takes besides"
    if device.type != 'cuda': return 0,0,0
    free,total = torch.cuda.mem_get_info(device)
    taken = torch.cuda.max_memory_reserved(device)
    return torch.cuda.max_memory_allocated(device),taken,max(0, total-free-torch.cuda.memory_reserved(device))

def begin(device, least):
    "Forget the memory of the last row, and allow this one no more than `least` bytes (None: all there is)"
    gc.collect()
    if device.type != 'cuda': return
    torch.cuda.empty_cache()
    torch.cuda.reset_peak_memory_stats(device)
    total = torch.cuda.get_device_properties(device).total_memory
    torch.cuda.set_per_process_memory_fraction(1. if least is None else min(1., least/total), device)

def measured(learn, o, reps):
    "Seconds of a step on one batch, seconds of a step with data, operations of a step; R1 in its share of the steps"
    every = min(max(1, getattr(o, 'r1_every', 1)), reps)
    for _ in range(every+2): learn.one_step()
    learn.i += -learn.i % every                 # R1's turn comes equally often in every round
    data = seconds(learn.one_step, learn.device, reps)
    batch,get = learn.batch(learn),learn.batch
    learn.batch = lambda learn: batch
    fixed = seconds(learn.one_step, learn.device, reps)
    with Operations() as counter:
        for _ in range(every): learn.one_step()
    learn.batch = get
    return fixed,data,counter.total/every

def row(preset, precision, data, path, device, top, reps, more):
    "A line of the table"
    name,_,kind = preset.partition(':')
    used = 0
    begin(device, None)
    if kind == 'gpu8' and device.type == 'cuda':
        torch.zeros(1, device=device)@torch.zeros(1, device=device)
        used = GB8-memory(device)[2]
        begin(device, used)
    cells = dict(preset=preset, precision=precision)
    try:
        learn,own = learner_of(name, kind, data, path, precision=precision, device=str(device), **more)
        cells |= dict(batch=str(own.batch))
        with arithmetic(own.tf32, own.cudnn_benchmark): fixed,fed,flops = measured(learn, own, reps)
        taken,reserved,_ = memory(device)
        share = f'{flops/fixed/top[precision]:.1%}' if flops else ''
        cells |= {'ms/step': f'{1e3*fixed:.1f}', 'ms/step, with data': f'{1e3*fed:.1f}',
                  'TFLOP/step': f'{flops/1e12:.3f}', 'of the peak': share,
                  'memory, GB': f'{taken/1e9:.2f} ({reserved/1e9:.2f} reserved)', '8 GB hold it': 'yes' if used else ''}
    except torch.OutOfMemoryError: cells['8 GB hold it'] = 'no'
    return cells

def compiled_row(preset, precision, data, path, device, top, reps, more):
    "The same with compiled networks: their forward passes, in the share of steps that have no R1"
    name,_,kind = preset.partition(':')
    begin(device, None)
    learn,own = learner_of(name, kind, data, path, precision=precision, device=str(device), **more)
    with arithmetic(own.tf32, own.cudnn_benchmark):
        batch = learn.batch(learn)
        learn.batch = lambda learn: batch
        compile_nets(learn)
        start = time.perf_counter()
        every = min(max(1, getattr(own, 'r1_every', 1)), reps)
        for _ in range(every+2): learn.one_step()
        wait(device)
        first,fixed = time.perf_counter()-start,seconds(learn.one_step, device, reps)
    taken,reserved,_ = memory(device)
    return dict(preset=f'{preset}, compiled', precision=precision, batch=str(own.batch)) | {
        'ms/step': f'{1e3*fixed:.1f}', 'memory, GB': f'{taken/1e9:.2f} ({reserved/1e9:.2f} reserved)',
        'of the peak': f'(compiling took {first:.0f} s)'}

def line(cells): return '| '+' | '.join(cells)+' |'

def table(device, presets=PRESETS, precisions=('fp32','bf16'), compiled=(), reps=16, **more):
    "Print the table, row by row; `more`: options that all presets get"
    if device.type == 'cuda' and device.index is None: device = torch.device('cuda', torch.cuda.current_device())
    name = torch.cuda.get_device_name(device) if device.type == 'cuda' else device.type
    top = peaks(device)
    rates = ', '.join(f'{k} {v/1e12:.1f} TFLOP/s' for k,v in top.items())
    print(f'{name}, PyTorch {torch.__version__}; one matrix product: {rates} (fp32: in TF32 where there is that)\n')
    print(line(COLUMNS), line(['---']*len(COLUMNS)), sep='\n', flush=True)
    with tempfile.TemporaryDirectory() as folder:
        folder = Path(folder)
        data = dict(latents=noise_latents(folder), pixels=noise_pictures(folder))
        jobs = [(row,p,k) for p in presets for k in precisions] + [(compiled_row,p,'bf16') for p in compiled]
        for i,(make,preset,precision) in enumerate(jobs):
            where = data['pixels' if preset.startswith('pixels') else 'latents']
            cells = make(preset, precision, where, folder/f'run{i}', device, top, reps, more)
            print(line([cells.get(c, '') for c in COLUMNS]), flush=True)
