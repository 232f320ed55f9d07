"""Build the documentation site in _docs/

With Quarto on the PATH the site is Quarto's, without it that of tools/render.py, which needs packages from PyPI alone.
Both show the same pages; README.md is left to tools/readme.py. Nothing is downloaded but onnxruntime-web, once, for the
page that paints in the browser (tools/try_it.py)."""
import argparse, gc, os, shutil, subprocess
from pathlib import Path

import yaml
import pages, reference, try_it

root = Path(__file__).resolve().parent.parent
os.environ.setdefault('OMP_WAIT_POLICY', 'passive')
os.environ.setdefault('HF_HUB_OFFLINE', '1')

def full(items):
    "A sidebar without sections that have no page yet"
    kept = (item if isinstance(item, str) else {**item, 'contents': full(item['contents'])} for item in items)
    return [item for item in kept if isinstance(item, str) or item['contents']]

def without_empty_sections(path):
    listed = yaml.safe_load(path.read_text(encoding='utf-8'))
    side = listed['website']['sidebar']
    side['contents'] = full(side['contents'])
    path.write_text(yaml.safe_dump(listed, sort_keys=False, allow_unicode=True), encoding='utf-8')

def process():
    "nbdev's share of the work, in the current folder, and ours; the folder with the pages"
    from nbdev.config import get_config
    from nbdev.doclinks import NbdevLookup
    from nbdev.quarto import refresh_quarto_yml
    from nbdev.serve import proc_nbs
    refresh_quarto_yml()
    cfg = get_config()
    # nbdev would run every notebook's imports for the signatures; tools/pages.py reads them in the source
    cfg.d['skip_procs'] = 'add_show_docs,exec_show_docs'
    made = Path(proc_nbs(n_workers=0, force=True))
    pages.finish(made, cfg.nbs_path, cfg.doc_host+cfg.doc_baseurl, NbdevLookup())
    without_empty_sections(made/'sidebar.yml')
    reference.write_pages(made)
    return made

def docs(dst,        # the site's folder, made anew
         quarto=None, # Quarto's program; None for MkDocs
         painting=True, # with the page that paints in the browser
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
    if painting: try_it.build(dst/'try')
    else: try_it.leave_out(dst/'try', 'it was asked to be left out')
    return 'Quarto' if quarto else 'MkDocs',len(list(dst.rglob('*.html')))

def main():
    p = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    p.add_argument('--mkdocs', action='store_true', help='do not use Quarto, even if it is there')
    p.add_argument('--no-painting', action='store_true', help='leave out the page that paints in the browser')
    p.add_argument('--project', default=root, type=Path, help='folder with settings.ini')
    a = p.parse_args()
    os.chdir(a.project)
    who,n = docs(Path('_docs').resolve(), None if a.mkdocs else shutil.which('quarto'), not a.no_painting)
    print(f'{n} pages in _docs/, made by {who}: open _docs/index.html')
    gc.freeze()     # the shell of every notebook collects garbage when Python ends, and would look at all there is

if __name__ == '__main__': main()
