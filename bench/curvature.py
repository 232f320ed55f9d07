"""What quick second derivatives of convolutions save of a training step, on a CUDA device.

    python bench/curvature.py

Presets for a card of 8 GB, in bf16, on one batch of noise that lies on the device. Each way has three rounds, in
turn."""
import tempfile, time, warnings
from pathlib import Path
import torch
import gpu_table
from latent_style import losses
from latent_style.curvature import quick_curvature
from latent_style.devices import arithmetic

def rounds(preset, data, path, reps=4):
    "Print the peak of the memory and milliseconds of a step, with and without"
    name,_,kind = preset.partition(':')
    learn,o = gpu_table.learner_of(name, kind, data, path, precision='bf16', device='cuda:0')
    every,times = max(1, getattr(o, 'r1_every', 1)),{True: [], False: []}
    with arithmetic(o.tf32, o.cudnn_benchmark):
        batch = learn.batch(learn)
        learn.batch = lambda learn: batch
        for r in range(4):
            for on in (False,True):
                losses.quick_curvature = lambda x, on=on: quick_curvature(x, on)
                learn.i += -learn.i % every                     # R1's turn comes equally often
                n = every if not r or every > reps else reps*every
                for _ in range(every if not r else 0): learn.one_step()                   # the first round warms up
                torch.cuda.synchronize()
                if not r: torch.cuda.reset_peak_memory_stats()
                began = time.perf_counter()
                for _ in range(n): learn.one_step()
                torch.cuda.synchronize()
                if r: times[on].append(round(1e3*(time.perf_counter()-began)/n, 1))
                else: print(preset, 'curvature' if on else 'plain', 'peak GB', torch.cuda.max_memory_allocated()/1e9)
    print(preset, 'r1_every', every, times, flush=True)

def main():
    warnings.simplefilter('ignore')
    with tempfile.TemporaryDirectory() as folder:
        folder = Path(folder)
        latents,pictures = gpu_table.noise_latents(folder),gpu_table.noise_pictures(folder)
        rounds('pixels:gpu8', pictures, folder/'pixels')
        rounds('stargan:gpu8', latents, folder/'stargan')

if __name__ == '__main__': main()
