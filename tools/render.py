"""nbdev's processed pages become a site, with MkDocs and its theme Material

    python tools/render.py _proc _docs

Nothing is fetched, neither now nor by the pages: formulas are MathML, fonts are the reader's own, and the search works
from a folder on the disk as well as from a server. How it looks is in tools/site/."""
import argparse, json, logging, shutil, tempfile
from pathlib import Path

import yaml
from mkdocs.commands.build import build
from mkdocs.config import load_config
import to_markdown

SITE = Path(__file__).resolve().parent/'site'

def notebooks_in(src):
    "Name -> cells of every processed notebook"
    found = sorted(f for f in src.rglob('*.ipynb') if not any(part[0] in '._' for part in f.relative_to(src).parts))
    return {f.relative_to(src).as_posix(): json.loads(f.read_text(encoding='utf-8'))['cells'] for f in found}

def sidebar(src):
    "What sidebar.yml lists"
    return yaml.safe_load((src/'sidebar.yml').read_text(encoding='utf-8'))['website']['sidebar']['contents']

def nav(items, pages):
    "The sidebar as MkDocs wants it; sections that have no page yet are left out"
    for item in items:
        if isinstance(item, str): yield pages.get(item, item)
        elif inside := list(nav(item['contents'], pages)): yield {item['section']: inside}

def finish_markdown(docs, pages):
    "Pages that are Markdown from the start: their links, too, lead to Markdown"
    known = pages | {page[:-3]+'.html': page for page in pages.values()}
    for path in (f for f in docs.rglob('*.md') if f.relative_to(docs).as_posix() not in pages.values()):
        here,words = path.relative_to(docs).as_posix(),path.read_text(encoding='utf-8')
        facts,_,body = words[4:].partition('\n---\n')
        body = to_markdown.outside(lambda part: to_markdown.prose(part, here, known), body)
        path.write_text(to_markdown.head(yaml.safe_load(facts))+'\n'+body, encoding='utf-8')

def configuration(docs, dst, website, order):
    "MkDocs's own: what Quarto is told about the site holds here, too"
    navbar = website.get('navbar', {})
    config = load_config(str(SITE/'mkdocs.yml'), docs_dir=str(docs), site_dir=str(dst), nav=order,
                         site_name=website['title'], site_url=website['site-url'].rstrip('/')+'/',
                         site_description=website['description'], repo_url=website['repo-url'])
    config.extra['comments'] = website.get('comments') or None
    config.copyright = website['page-footer']['left']
    config.theme['logo'],config.extra['logo_dark'] = navbar['logo']['light'],navbar['logo']['dark']
    config.theme['favicon'] = website['favicon']
    return config

def website_of(src):
    "The key `website` of _quarto.yml and of the files that belong to it"
    files = ['_quarto.yml', *yaml.safe_load((src/'_quarto.yml').read_text(encoding='utf-8'))['metadata-files']]
    out = {}
    for name in files: out |= yaml.safe_load((src/name).read_text(encoding='utf-8')).get('website', {})
    return out

class Complaints(logging.Handler):
    "What MkDocs warns of: a page that no sidebar names, a link that leads nowhere"
    def __init__(self):
        super().__init__(logging.WARNING)
        self.found = []
    def emit(self, record): self.found.append(record.getMessage())

def built(config):
    "Let MkDocs build, and raise a ValueError with all that it complains about"
    log,complaints = logging.getLogger('mkdocs'),Complaints()
    log.setLevel(logging.WARNING)
    log.addHandler(complaints)
    try: build(config)
    finally: log.removeHandler(complaints)
    if complaints.found: raise ValueError('the site has faults:\n' + '\n'.join(complaints.found))

def render(src, dst):
    "Build the site of the pages in `src`; the number of its pages"
    src,dst = Path(src).resolve(),Path(dst).resolve()
    with tempfile.TemporaryDirectory() as folder:
        docs = Path(folder)/'docs'
        docs.mkdir()
        pages = to_markdown.markdown_pages(notebooks_in(src), src, docs)
        finish_markdown(docs, pages)
        shutil.copytree(SITE/'assets', docs/'assets', dirs_exist_ok=True)
        shutil.copy(src/'llms.txt', docs)
        website,order = website_of(src),list(nav(sidebar(src), pages))
        built(configuration(docs, dst, website, order))
    return len(list(dst.rglob('*.html')))

def main():
    p = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    p.add_argument('src')
    p.add_argument('dst')
    a = p.parse_args()
    print(f'{render(a.src, a.dst)} pages')

if __name__ == '__main__': main()
