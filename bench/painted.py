"Pictures per second of the painted world, one thread, process CPU time"
import argparse,time
import torch
from latent_style.painted import MANNERS,gbuffer,paint,paint_scenes

def seconds(f, repeats):
    "Best process CPU time of `f`"
    f(); best = float('inf')
    for _ in range(repeats):
        t = time.process_time(); f(); best = min(best, time.process_time()-t)
    return best

def main():
    p = argparse.ArgumentParser(description=__doc__)
    p.add_argument('--size', type=int, default=256); p.add_argument('--n', type=int, default=16)
    p.add_argument('--repeats', type=int, default=5); p.add_argument('--floor', type=float, default=15, help='wanted pictures/s')
    o = p.parse_args()
    torch.set_num_threads(1)
    sc = paint_scenes(o.n)
    print(f'{"":14} {"pictures/s":>10} {"x "+format(o.floor,"g")+"/s":>8}   ({o.size} px, 1 thread, {o.n} pictures, best of {o.repeats})')
    maps = seconds(lambda: [gbuffer(sc[i:i+4],64*-(-o.size//64)) for i in range(0,o.n,4)], o.repeats)
    print(f'{"maps only":14} {o.n/maps:10.1f}')
    for m in MANNERS:
        r = o.n/seconds(lambda: paint(sc,m,o.size), o.repeats)
        print(f'{m:14} {r:10.1f} {r/o.floor:8.2f}')

if __name__=='__main__': main()
