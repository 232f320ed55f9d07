"""Training steps on a CPU: the hand-written layers against a compiler.

    python bench/inductor.py                       the laptop presets of the three methods, in both precisions
    python bench/inductor.py --presets otcfm:laptop --precisions bf16 --reps 11

Each step runs in three ways, turn by turn in one process, so that what else the machine does hits all alike: with this
package's CPU layers, with PyTorch's own ones (`plain_kernels`), and with PyTorch's own ones through `torch.compile` and
inductor, which needs a C++ compiler. Networks, optimizers, batches and sizes are those of `step_speed.py`; a step of
StarGAN v2 is one without R1, whose second derivative `torch.compile` cannot take. What the compiler needed before its
third step is told apart: the first two steps, less two steps at its later speed."""
import argparse, time
from step_speed import METHODS, race
import torch
from latent_style.kernels import keep_pages, plain_kernels
from latent_style.devices import compile_nets

PRESETS = ['laptop','stargan:laptop','otcfm:laptop']

def learner(preset, precision, o):
    "A learner for a preset such as 'otcfm:laptop', ready for a step"
    kind,_,size = preset.rpartition(':')
    make,_,side = METHODS[kind or 'cyclegan']
    return make(size, precision, o.batch, side)[0]

def ways(preset, precision, o):
    "name -> function that makes one step, and the seconds of the first two compiled ones"
    ours,plain,compiled = (learner(preset, precision, o) for _ in range(3))
    def by_layers():
        with plain_kernels(): plain.one_step()
    compile_nets(compiled, dynamic=False)   # with sizes left open inductor fails for StarGAN v2 in bf16
    start = time.perf_counter()
    for _ in range(2): compiled.one_step()
    first = time.perf_counter()-start
    return dict(ours=ours.one_step, plain=by_layers, inductor=compiled.one_step),first

def options():
    p = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    p.add_argument('--presets', nargs='+', default=PRESETS, metavar='NAME', help='as for step_speed.py')
    p.add_argument('--precisions', nargs='+', default=['fp32','bf16'])
    p.add_argument('--reps', type=int, default=7, help='runs of each, the median counts')
    p.add_argument('--batch', type=int, default=8, help='of latents')
    p.add_argument('--threads', type=int, default=2)
    return p.parse_args()

def main():
    o = options()
    torch.set_num_threads(o.threads)
    keep_pages()
    print(f'{"CPU seconds of a step":24}{"ours":>8}{"plain":>8}{"inductor":>10}{"plain/ours":>12}{"inductor/ours":>15}'
          f'{"compiling, s":>14}')
    for preset in o.presets:
        for precision in o.precisions:
            fns,first = ways(preset, precision, o)
            taken = race(fns, o.reps)
            ours,plain,inductor = (taken[k][0] for k in ('ours','plain','inductor'))
            compiling = first-2*taken['inductor'][1]
            print(f'{preset+" "+precision:24}{ours:8.3f}{plain:8.3f}{inductor:10.3f}{plain/ours:12.2f}'
                  f'{inductor/ours:15.2f}{compiling:14.0f}', flush=True)

if __name__ == '__main__': main()
