"""What a codec loses and what it costs: PSNR per domain on real test pictures, pictures per second

    LATENT_STYLE_SHARED=/folder/with/weights/and/data python bench/codec.py [--n 40] [codec ...]

Without arguments it measures the TAESD folder `weights/taesd` there, and the bundled codec when its weights are present.
"""
import argparse, os, time
from pathlib import Path
import torch
from latent_style.codec import psnr
from latent_style.data import Latents, load_picture

def shared():
    "The folder of external pictures and weights, or None"
    p = Path(os.environ.get('LATENT_STYLE_SHARED') or Path(__file__).resolve().parents[2]/'shared')
    return p if p.is_dir() else None

def measure(codec, folders, n, size=256):
    "Rows (domain, dB, deviation of the latents, pictures/s encoding, decoding, CPU seconds per picture)"
    rows = []
    for f in folders:
        files = sorted(p for p in f.rglob('*') if p.suffix.lower() in ('.jpg','.jpeg','.png'))[:n]
        x = torch.stack([load_picture(p, size) for p in files])
        codec.decode(codec.encode(x[:2]))
        c,t0 = time.process_time(),time.perf_counter(); z = codec.encode(x)
        t1 = time.perf_counter(); y = codec.decode(z); t2 = time.perf_counter()
        rows.append((f.parent.name if f.name == 'test' else f.name, psnr(x, y).mean().item(), z.std().item(), len(x)/(t1-t0), len(x)/(t2-t1), (time.process_time()-c)/len(x)))
    return rows

def main(codecs=(), n=40, device='cpu'):
    root = shared()
    if root is None: return print('set LATENT_STYLE_SHARED to the folder that holds data/real and weights/taesd')
    test = next((p for p in (root/'data'/'real'/'test', root/'data'/'real') if p.is_dir()), None)
    folders = sorted(p for p in test.iterdir() if p.is_dir())
    if any((p/'test').is_dir() for p in folders): folders = [p/'test' for p in folders]
    for name in codecs or [root/'weights'/'taesd', 'tiny']:
        try: codec = Latents(name, device=device)
        except ValueError as e: print(f'{name}: {e}\n'); continue
        rows = measure(codec, folders, n)
        print(f'{codec}, {torch.get_num_threads()} threads\n{"domain":16}{"PSNR dB":>9}{"std":>7}{"encode/s":>10}{"decode/s":>10}{"CPU s each":>12}')
        for d,p,s,e,dd,c in rows: print(f'{d:16}{p:9.1f}{s:7.2f}{e:10.1f}{dd:10.1f}{c:12.3f}')
        print(f'{"mean":16}{sum(r[1] for r in rows)/len(rows):9.1f}\n')

if __name__ == '__main__':
    p = argparse.ArgumentParser(); p.add_argument('codecs', nargs='*'); p.add_argument('--n', type=int, default=40); p.add_argument('--device', default='cpu')
    main(**vars(p.parse_args()))
