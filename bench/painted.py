"Pictures per second of the painted world, one thread, process CPU time"
import argparse, time
import torch
from latent_style.landscape import gbuffer
from latent_style.painted import MANNERS, paint
from latent_style.scenes import paint_scenes

def seconds(f, repeats):
    "Best process CPU time of `f`, after one call that does not count"
    times = []
    for _ in range(repeats+1):
        start = time.process_time()
        f()
        times.append(time.process_time()-start)
    return min(times[1:])

def maps(scenes, size):
    "The maps of all scenes, four at a time as `paint` makes them"
    for i in range(0, len(scenes), 4): gbuffer(scenes[i:i+4], 64*-(-size//64))

def main(size, n, repeats, floor):
    torch.set_num_threads(1)
    scenes = paint_scenes(n)
    print(f'{"":14} {"pictures/s":>10} {f"x {floor:g}/s":>8}   ({size} px, 1 thread, {n} pictures, best of {repeats})')
    print(f'{"maps only":14} {n/seconds(lambda: maps(scenes, size), repeats):10.1f}')
    for manner in MANNERS:
        speed = n/seconds(lambda: paint(scenes, manner, size), repeats)
        print(f'{manner:14} {speed:10.1f} {speed/floor:8.2f}')

if __name__ == '__main__':
    p = argparse.ArgumentParser(description=__doc__)
    p.add_argument('--size', type=int, default=256)
    p.add_argument('--n', type=int, default=16, help='pictures')
    p.add_argument('--repeats', type=int, default=5)
    p.add_argument('--floor', type=float, default=15, help='wanted pictures/s')
    main(**vars(p.parse_args()))
