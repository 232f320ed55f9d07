"""The page of the site that paints a visitor's own picture, with the runs of the package

    python tools/try_it.py _docs/try

It needs onnxruntime-web, see latent_style.browser, which is fetched from npm's registry once. The graphs take a minute
to write and are kept in a cache, under a name that changes with the runs and with the code that exports them."""
import hashlib, os, shutil, sys
from pathlib import Path
from project import package

RUNS = [f'demo:{name}' for name in ('impressionist', 'swirl', 'anime', 'woodcut', 'five', 'flow')]
CODE = ('exporting.py', 'browser.py', 'otcfm.py', 'codec.py', 'models.py', 'models_style.py')
WITHOUT = '''<!doctype html><html lang="en"><meta charset="utf-8"><title>Paint a picture</title>
<body style="font:16px/1.5 system-ui;max-width:40rem;margin:2rem auto;padding:0 1rem">
<p>This copy of the site was built without onnxruntime-web, which the painting page needs: {why}</p></body></html>'''

def name_of():
    "A name that changes as soon as the page would"
    files = [*(package/name for name in CODE), *sorted((package/'web').iterdir())]
    files += sorted(f for f in (package/'runs').rglob('*') if f.is_file())
    h = hashlib.blake2b(digest_size=8)
    for file in files: h.update(file.read_bytes())
    return f'try-{h.hexdigest()}'

def leave_out(out, why):
    "A page that says why there is none"
    out.mkdir(parents=True)
    (out/'index.html').write_text(WITHOUT.format(why=why), encoding='utf-8')

def build(out):
    "The page in the folder `out`, or one that says why it is not there; whether it is"
    out = Path(out)
    shutil.rmtree(out, ignore_errors=True)
    try: made = kept_page()
    except (ImportError, OSError) as e:
        leave_out(out, e)
        return False
    shutil.copytree(made, out)
    return True

def kept_page():
    "The page in the cache, made if it is not there"
    from latent_style.browser import cache_folder, export_web, runtime_folder
    made,runtime = cache_folder()/name_of(),runtime_folder()
    if not (made/'graphs/manifest.json').exists():
        part = made.with_name(f'{made.name}-{os.getpid()}')
        shutil.rmtree(part, ignore_errors=True)
        export_web(RUNS, part, hide=['photo'], runtime=runtime)
        shutil.rmtree(made, ignore_errors=True)
        part.rename(made)
    return made

if __name__ == '__main__': print('built' if build(sys.argv[1]) else 'not built: onnxruntime-web is missing')
