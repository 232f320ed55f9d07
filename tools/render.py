"""Stand-in for `quarto render`: processed notebooks -> HTML pages

    python tools/render.py _proc _docs [--assets URL]

Honours the cell options echo, include and output, names the pages as Quarto would, and puts the sidebar on each."""
import argparse, html, os, re, shutil
from pathlib import Path, PurePosixPath

import nbformat, yaml
from nbconvert import HTMLExporter
from nbconvert.preprocessors import Preprocessor
from traitlets.config import Config

OPT = re.compile(r'^#\|\s*([\w-]+)\s*:\s*(.*)$', re.M)
# Pandoc's attributes of links and headings
ATTR = re.compile(r'(?<=\))\{[^{}\n]*=[^{}\n]*\}|[ \t]+\{[#.][\w.# -]+\}[ \t]*$', re.M)
CSS = '''<style>
body{max-width:62rem;margin:0 auto;padding:0 1rem 4rem;box-sizing:border-box}
nav.site{font:14px/1.7 system-ui,sans-serif;padding:.8rem 0;border-bottom:1px solid #ccc}
nav.site a{margin-right:1rem;text-decoration:none} nav.site b{margin-right:.6rem;font-weight:600}
nav.site a.here{text-decoration:underline} img{max-width:100%}
.jp-MarkdownOutput pre{background:#f5f5f5;padding:.6rem .8rem;margin:.6rem 0 1rem;overflow-x:auto}
</style>'''

def front_matter(nb):
    "The YAML block nbdev puts first, or an empty dict"
    first = nb.cells[0] if nb.cells else None
    if first is None or first.cell_type != 'raw' or not first.source.strip().startswith('---'): return {}
    return yaml.safe_load(first.source.strip().strip('-')) or {}

def plain(cell):
    "Take Pandoc's attributes out of a cell's Markdown, where nbconvert would show them"
    if cell.cell_type == 'markdown': cell.source = ATTR.sub('', cell.source)
    for output in cell.get('outputs', []):
        data = output.get('data', {})
        if 'text/markdown' in data: data['text/markdown'] = ATTR.sub('', data['text/markdown'])
    return cell

def as_asked(cell):
    "A code cell as its options say; `None` if it is not shown"
    options = dict(OPT.findall(cell.source))
    cell.source = OPT.sub('', cell.source).strip()
    if options.get('include') == 'false': return None
    if options.get('echo') == 'false': cell.metadata['transient'] = {'remove_source': True}
    if options.get('output') == 'false': cell.outputs = []
    return cell

class QuartoCells(Preprocessor):
    "Title from the front matter, cells as their options say"
    def preprocess(self, nb, resources):
        matter = front_matter(nb)
        if matter:
            promise = f"\n\n> {matter['description']}" if matter.get('description') else ''
            nb.cells[0] = nbformat.v4.new_markdown_cell(f"# {matter.get('title', '')}{promise}")
        shown = (as_asked(cell) if cell.cell_type == 'code' else cell for cell in nb.cells)
        nb.cells = [plain(cell) for cell in shown if cell is not None]
        return nb,resources

# Pages are known by the name of their notebook below the source folder: 'workshop/painted.ipynb'

def page_of(name, nb):
    "Where the page of notebook `name` lies in the site"
    name = PurePosixPath(name)
    return (name.parent/(front_matter(nb).get('output-file') or f'{name.stem}.html')).as_posix()

def relative(page, here):
    "A link to `page` from the page `here`"
    return os.path.relpath(page, PurePosixPath(here).parent).replace(os.sep, '/')

def groups(items, title=''):
    "The sidebar as (section, notebook names), sections flattened"
    own = [item for item in items if isinstance(item, str)]
    if own: yield title,own
    for item in items:
        if not isinstance(item, str): yield from groups(item.get('contents', []), item.get('section', ''))

def sidebar(src, names):
    "What sidebar.yml lists, or all notebooks"
    path = src/'sidebar.yml'
    if not path.exists(): return sorted(names)
    return yaml.safe_load(path.read_text(encoding='utf-8'))['website']['sidebar']['contents']

def link(name, here, pages, titles):
    mark = ' class=here' if name == here else ''
    return f'<a href="{relative(pages[name], pages[here])}"{mark}>{html.escape(titles[name])}</a>'

def nav(items, pages, titles, here):
    "Links to all pages, in the order of the sidebar"
    out = []
    for section,names in groups(items):
        links = [link(name, here, pages, titles) for name in names if name in pages]
        head = f'<b>{html.escape(section)}</b>' if section else ''
        if links: out.append(head + ''.join(links))
    return '<nav class="site">' + '<br>'.join(out) + '</nav>'

def exporter(assets=None # where scripts are fetched from; None for nbconvert's own addresses
            ):
    config = Config()
    page = config.HTMLExporter
    page.preprocessors = [QuartoCells]
    page.exclude_input_prompt = page.exclude_output_prompt = True
    if assets:
        page.mathjax_url = f'{assets}/mathjax/MathJax.js?config=TeX-AMS_CHTML-full,Safe'
        page.require_js_url = f'{assets}/require.js'
        page.jupyter_widgets_base_url = f'{assets}/'
        page.widget_renderer_url = f'{assets}/html-manager/embed-amd.js'
    return HTMLExporter(config=config)

def to_pages(body, here, pages):
    "Turn a page's links to notebooks into links to their pages"
    def new(match):
        name = os.path.normpath(PurePosixPath(here).parent/match[2]).replace(os.sep, '/')
        return match[1] + (relative(pages[name], pages[here]) if name in pages else match[2])
    return re.sub(r'(href=")([^"#:]+\.ipynb)(?=[#"])', new, body)

def copy_others(src, dst):
    "Pictures and what else lies beside the notebooks"
    for folder in (f for f in src.iterdir() if f.is_dir() and f.name[0] not in '._'):
        shutil.copytree(folder, dst/folder.name, dirs_exist_ok=True, ignore=shutil.ignore_patterns('*.ipynb', '.*'))

def render(src, dst, assets=None):
    "One page for each notebook of `src` in `dst`, with the other files beside them; the pages' paths"
    src,dst = Path(src),Path(dst)
    dst.mkdir(parents=True, exist_ok=True)
    found = sorted(f for f in src.rglob('*.ipynb') if not any(part[0] in '._' for part in f.relative_to(src).parts))
    nbs = {f.relative_to(src).as_posix(): nbformat.read(f, as_version=4) for f in found}
    pages = {name: page_of(name, nb) for name,nb in nbs.items()}
    titles = {name: front_matter(nb).get('title', Path(name).stem) for name,nb in nbs.items()}
    copy_others(src, dst)
    items,convert = sidebar(src, nbs),exporter(assets)
    for name,nb in nbs.items():
        body,_ = convert.from_notebook_node(nb, resources={'metadata': {'name': titles[name]}})
        body = to_pages(body, name, pages).replace('</head>', CSS+'</head>', 1)
        start = re.search(r'<body[^>]*>', body).end()
        (dst/pages[name]).parent.mkdir(parents=True, exist_ok=True)
        (dst/pages[name]).write_text(body[:start] + nav(items, pages, titles, name) + body[start:], encoding='utf-8')
    return [dst/page for page in pages.values()]

def main():
    p = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    p.add_argument('src')
    p.add_argument('dst')
    p.add_argument('--assets')
    a = p.parse_args()
    print(f'{len(render(a.src, a.dst, a.assets))} pages')

if __name__ == '__main__': main()
