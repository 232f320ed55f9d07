"""Build the documentation site in _docs/

With Quarto on the PATH the site is Quarto's. Without it the stand-in of tools/render.py makes plain pages of the same
notebooks. Neither downloads anything, and README.md is left to tools/readme.py."""
import argparse, gc, os, shutil, subprocess
from pathlib import Path

root = Path(__file__).resolve().parent.parent
os.environ.setdefault('OMP_WAIT_POLICY', 'passive')
os.environ.setdefault('HF_HUB_OFFLINE', '1')

def process():
    "nbdev's share of the work, in the current folder: links, signatures, hidden cells; the folder with its notebooks"
    from nbdev.quarto import refresh_quarto_yml
    from nbdev.serve import proc_nbs
    refresh_quarto_yml()
    return Path(proc_nbs(n_workers=0, force=True))

def docs(dst,        # the site's folder, made anew
         quarto=None # Quarto's program; None for the stand-in
        ):
    "Build the site of the project in the current folder; which program made it, and how many pages"
    src,dst = process(),Path(dst)
    shutil.rmtree(dst, ignore_errors=True)
    if quarto:
        subprocess.run([quarto, 'render', '--no-cache', '--no-execute'], cwd=src, check=True)
        shutil.move(src/'_docs', dst)
    else:
        from render import render
        render(src, dst)
    who = 'Quarto' if quarto else 'the stand-in (quarto is not on the PATH)'
    return who,len(list(dst.rglob('*.html')))

def main():
    p = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    p.add_argument('--stand-in', action='store_true', help='do not use Quarto, even if it is there')
    p.add_argument('--project', default=root, type=Path, help='folder with settings.ini')
    a = p.parse_args()
    os.chdir(a.project)
    who,n = docs(Path('_docs').resolve(), None if a.stand_in else shutil.which('quarto'))
    print(f'{n} pages in _docs/, made by {who}')
    gc.freeze()     # the shell of every notebook collects garbage when Python ends, and would look at all there is

if __name__ == '__main__': main()
