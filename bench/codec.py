"""What a codec loses and what it costs: PSNR per domain on real test pictures, pictures per second

    LATENT_STYLE_SHARED=/folder/with/weights/and/data python bench/codec.py [--n 40] [codec ...]

Without codecs it measures the TAESD folder `weights/taesd` there, and the bundled codec when its weights are present.
"""
import argparse, os, time
from pathlib import Path
import torch
from latent_style.autoencoders import Latents
from latent_style.codec import psnr
from latent_style.data import load_picture

def shared():
    "The folder of external pictures and weights, or None"
    p = Path(os.environ.get('LATENT_STYLE_SHARED') or '')
    return p if (p/'data'/'real').is_dir() else None

def test_folders(root):
    "Domain -> folder of its test pictures: `test/<domain>` or `<domain>/test`"
    real = root/'data'/'real'
    folders = [p for p in sorted((real/'test' if (real/'test').is_dir() else real).iterdir()) if p.is_dir()]
    return {p.name: p/'test' if (p/'test').is_dir() else p for p in folders}

def pictures(folder, n, size=256):
    "The first `n` pictures (n,3,size,size)"
    files = sorted(p for p in folder.rglob('*') if p.suffix.lower() in ('.jpg','.jpeg','.png'))[:n]
    return torch.stack([load_picture(p, size) for p in files])

def timed(f, x):
    "What `f` makes of `x`, and how many it makes per second"
    start = time.perf_counter()
    out = f(x)
    return out, len(x)/(time.perf_counter()-start)

def measure(codec, x):
    "dB, deviation of the latents, pictures/s encoding and decoding, CPU seconds per picture"
    codec.decode(codec.encode(x[:2]))   # the first call does not count
    start = time.process_time()
    z,encoded = timed(codec.encode, x)
    y,decoded = timed(codec.decode, z)
    cpu = (time.process_time()-start)/len(x)
    return psnr(x, y).mean().item(), z.std().item(), encoded, decoded, cpu

def report(codec, folders, n):
    "A table with a line per domain"
    print(f'{codec}, {torch.get_num_threads()} threads')
    print(f'{"domain":16}{"PSNR dB":>9}{"std":>7}{"encode/s":>10}{"decode/s":>10}{"CPU s each":>12}')
    found = []
    for domain,folder in folders.items():
        db,std,encoded,decoded,cpu = measure(codec, pictures(folder, n))
        print(f'{domain:16}{db:9.1f}{std:7.2f}{encoded:10.1f}{decoded:10.1f}{cpu:12.3f}')
        found.append(db)
    print(f'{"mean":16}{sum(found)/len(found):9.1f}\n')

def main(codecs, n, device):
    root = shared()
    if root is None: return print('set LATENT_STYLE_SHARED to the folder that holds data/real and weights/taesd')
    for name in codecs or [root/'weights'/'taesd', 'tiny']:
        try: codec = Latents(name, device=device)
        except ValueError as e: print(f'{name}: {e}\n')
        else: report(codec, test_folders(root), n)

if __name__ == '__main__':
    p = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    p.add_argument('codecs', nargs='*')
    p.add_argument('--n', type=int, default=40, help='pictures per domain')
    p.add_argument('--device', default='cpu')
    main(**vars(p.parse_args()))
