"""What an installation takes: megabytes, seconds, and seconds until the first picture is translated

    python bench/install_size.py                     translating alone, the base, and what each extra adds to the base
    python bench/install_size.py --only translate onnx

Every row is an environment of its own, filled by tools/install.py from the package index that pip knows, without its
cache; an extra sees the packages of the base, so its row is what it adds. The first picture is a photograph painted by
the package, 256 px, translated by a new process: once right after the installation, then once more."""
import argparse, os, subprocess, sys, tempfile, time
from pathlib import Path

from latent_style.painted import paint
from latent_style.data import save_picture
from latent_style.scenes import paint_scenes

root = Path(__file__).resolve().parent.parent
BASE = 'base'
EXTRAS = 'onnx share film flow lab sd eval metrics track app docs all dev'.split()
ENV = {k: v for k,v in os.environ.items() if k not in ('PYTHONPATH','VIRTUAL_ENV')} | {'PIP_NO_CACHE_DIR': '1'}

def megabytes(folder): return sum(f.lstat().st_size for f in folder.rglob('*') if not f.is_dir())/1e6

def packages(env): return next((env/'lib').glob('python*/site-packages'))

def timed(*words, cwd=root):
    start = time.perf_counter()
    subprocess.run(words, cwd=cwd, env=ENV, check=True, capture_output=True)
    return time.perf_counter()-start

def environment(place, over=None):
    "A new environment, which sees the packages of another one"
    timed(sys.executable, '-m', 'venv', place)
    if over: (packages(place)/'base.pth').write_text(f'{packages(over)}\n')
    return place

def row(name, folder, torch):
    env = environment(folder/name, folder/BASE if name in EXTRAS else None)
    before = megabytes(env)
    took = timed(env/'bin/python', 'tools/install.py', *[] if name == BASE else [name], '--torch', torch)
    call = env/'bin/python', '-m', 'latent_style', 'translate', 'demo:impressionist', folder/'photo.png', '--out'
    first = [timed(*call, folder/f'{name}{i}.png', cwd=folder) for i in range(2)]
    print(f'| {name} | {megabytes(env)-before:,.0f} | {took:.0f} | {first[0]:.1f} | {first[1]:.1f} |', flush=True)

def main():
    p = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    p.add_argument('--only', nargs='+', default=['translate', BASE, *EXTRAS], help='rows')
    p.add_argument('--torch', default='auto', help='as tools/install.py takes it')
    p.add_argument('--keep', help='a folder for the environments; one that is there is used again')
    a = p.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        folder = Path(a.keep or folder)
        save_picture(paint(paint_scenes(1, seed=1), 'photo')[0], folder/'photo.png')
        print('| installation | MB | seconds | first picture, s | second, s |\n|---|---:|---:|---:|---:|', flush=True)
        if BASE not in a.only and set(a.only) & set(EXTRAS) and not (folder/BASE).exists(): a.only.insert(0, BASE)
        for name in a.only: row(name, folder, a.torch)

if __name__ == '__main__': main()
