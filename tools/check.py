"Do the modules in latent_style/ and the notebooks in nbs/ agree, and are the notebooks clean?"
import shutil, subprocess, sys, tempfile
from pathlib import Path

root = Path(__file__).resolve().parent.parent

def notebooks(root=root): return sorted(p for p in (root/'nbs').rglob('*.ipynb') if not any(q[0] in '._' for q in p.relative_to(root/'nbs').parts))
def modules(root=root): return sorted(p.relative_to(root) for p in (root/'latent_style').rglob('*.py'))

def nbdev(name, cwd):
    "Run one of nbdev's commands, the one beside this Python, in `cwd`"
    r = subprocess.run([str(Path(sys.executable).with_name(name))], cwd=cwd, capture_output=True, text=True)
    if r.returncode: raise RuntimeError(f'{name} failed:\n{r.stdout}{r.stderr}')

def fresh_copy(dst):
    "Settings and notebooks in `dst`, and of the package only what no notebook writes"
    (dst/'latent_style').mkdir(parents=True)
    shutil.copy(root/'settings.ini', dst)
    shutil.copy(root/'latent_style/__init__.py', dst/'latent_style')
    shutil.copytree(root/'nbs', dst/'nbs', symlinks=True, ignore=shutil.ignore_patterns('.*', '_proc', '_docs'))
    return dst

def export_problems():
    "What `nbdev_export` would change, as a list of sentences"
    with tempfile.TemporaryDirectory() as tmp:
        d = fresh_copy(Path(tmp)/'repo')
        nbdev('nbdev_export', d)
        new,old = set(modules(d)),set(modules())
        return ([f'{p}: no notebook exports it' for p in sorted(old-new)] +
                [f'{p}: missing, run nbdev_export' for p in sorted(new-old)] +
                [f'{p}: differs from its notebook, run nbdev_export' for p in sorted(new&old)
                 if (d/p).read_bytes() != (root/p).read_bytes()])

def clean_problems():
    "What `nbdev_clean` would change, as a list of sentences"
    with tempfile.TemporaryDirectory() as tmp:
        d = fresh_copy(Path(tmp)/'repo')
        nbdev('nbdev_clean', d)
        return [f'{f.relative_to(root)}: not clean, run nbdev_clean' for f in notebooks()
                if f.read_bytes() != (d/f.relative_to(root)).read_bytes()]

if __name__ == '__main__':
    bad = export_problems() + clean_problems()
    if bad: sys.exit('\n'.join(bad))
    print(f'{len(notebooks())} notebooks, {len(modules())} modules')
