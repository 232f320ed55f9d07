"""Stand-in for `quarto render`: processed notebooks -> HTML pages

    python tools/render.py _proc _docs [--assets URL]

Honours the cell options echo, include and output, names the pages as Quarto would, and puts the sidebar on each of them."""
import argparse, html, re, shutil
from pathlib import Path

import nbformat, yaml
from nbconvert import HTMLExporter
from nbconvert.preprocessors import Preprocessor
from traitlets.config import Config

OPT = re.compile(r'^#\|\s*([\w-]+)\s*:\s*(.*)$', re.M)
ATTR = re.compile(r'(?<=\))\{[^{}\n]*=[^{}\n]*\}|[ \t]+\{[#.][\w.# -]+\}[ \t]*$', re.M)  # Pandoc's attributes of links and headings
CSS = '''<style>
body{max-width:62rem;margin:0 auto;padding:0 1rem 4rem;box-sizing:border-box}
nav.site{font:14px/1.7 system-ui,sans-serif;padding:.8rem 0;border-bottom:1px solid #ccc}
nav.site a{margin-right:1rem;text-decoration:none} nav.site b{margin-right:.6rem;font-weight:600}
nav.site a.here{text-decoration:underline} img{max-width:100%}
.jp-MarkdownOutput pre{background:#f5f5f5;padding:.6rem .8rem;margin:.6rem 0 1rem;overflow-x:auto}
</style>'''

def front_matter(nb):
    "The YAML block nbdev puts first, or an empty dict"
    c = nb.cells[0] if nb.cells else None
    if c is None or c.cell_type != 'raw' or not c.source.strip().startswith('---'): return {}
    return yaml.safe_load(c.source.strip().strip('-')) or {}

def page_name(f, nb): return front_matter(nb).get('output-file') or f'{f.stem}.html'

def plain(cell):
    "Take Pandoc's attributes out of a cell's Markdown, where nbconvert would show them"
    if cell.cell_type == 'markdown': cell.source = ATTR.sub('', cell.source)
    for o in cell.get('outputs', []):
        d = o.get('data', {})
        if 'text/markdown' in d: d['text/markdown'] = ATTR.sub('', d['text/markdown'])
    return cell

class QuartoCells(Preprocessor):
    "Title from the front matter, cells as their options say"
    def preprocess(self, nb, resources):
        fm,cells = front_matter(nb),[]
        if fm:
            head = f"# {fm.get('title', '')}" + (f"\n\n> {fm['description']}" if fm.get('description') else '')
            nb.cells[0] = nbformat.v4.new_markdown_cell(head)
        for c in nb.cells:
            if c.cell_type == 'code':
                opt = dict(OPT.findall(c.source))
                c.source = OPT.sub('', c.source).strip()
                if opt.get('include') == 'false': continue
                if opt.get('echo') == 'false': c.metadata['transient'] = {'remove_source': True}
                if opt.get('output') == 'false': c.outputs = []
            cells.append(plain(c))
        nb.cells = cells
        return nb,resources

def groups(items, title=''):
    "The sidebar as (section, notebook names), sections flattened"
    own = [o for o in items if isinstance(o, str)]
    if own: yield title,own
    for o in items:
        if not isinstance(o, str): yield from groups(o.get('contents', []), o.get('section', ''))

def nav(src, pages, titles, here):
    "Links to all pages, in the order of the sidebar"
    f = src/'sidebar.yml'
    items = yaml.safe_load(f.read_text(encoding='utf-8'))['website']['sidebar']['contents'] if f.exists() else sorted(pages)
    out = []
    for sec,names in groups(items):
        links = [f'<a href="{pages[n]}"{" class=here" if n == here else ""}>{html.escape(titles[n])}</a>' for n in names if n in pages]
        if links: out.append((f'<b>{html.escape(sec)}</b>' if sec else '') + ''.join(links))
    return '<nav class="site">' + '<br>'.join(out) + '</nav>'

def exporter(assets=None # where scripts are fetched from; None for nbconvert's own addresses
            ):
    c = Config()
    c.HTMLExporter.preprocessors = [QuartoCells]
    c.HTMLExporter.exclude_input_prompt = c.HTMLExporter.exclude_output_prompt = True
    if assets:
        c.HTMLExporter.mathjax_url = f'{assets}/mathjax/MathJax.js?config=TeX-AMS_CHTML-full,Safe'
        c.HTMLExporter.require_js_url = f'{assets}/require.js'
        c.HTMLExporter.jupyter_widgets_base_url = f'{assets}/'
        c.HTMLExporter.widget_renderer_url = f'{assets}/html-manager/embed-amd.js'
    return HTMLExporter(config=c)

def render(src, dst, assets=None):
    "One page for each notebook of `src` in `dst`, with the other files beside them; the pages' paths"
    src,dst = Path(src),Path(dst)
    dst.mkdir(parents=True, exist_ok=True)
    nbs = {f.name: nbformat.read(f, as_version=4) for f in sorted(src.glob('*.ipynb'))}
    pages = {n: page_name(Path(n), nb) for n,nb in nbs.items()}
    titles = {n: front_matter(nb).get('title', Path(n).stem) for n,nb in nbs.items()}
    for d in (o for o in src.iterdir() if o.is_dir() and o.name[0] not in '._'): shutil.copytree(d, dst/d.name, dirs_exist_ok=True)
    e,out = exporter(assets),[]
    for n,nb in nbs.items():
        body,_ = e.from_notebook_node(nb, resources={'metadata': {'name': titles[n]}})
        for k,v in pages.items(): body = re.sub(rf'(href="){re.escape(k)}(?=[#"])', rf'\g<1>{v}', body)
        body = body.replace('</head>', CSS+'</head>', 1)
        body = re.sub(r'(<body[^>]*>)', lambda m: m[1] + nav(src, pages, titles, n), body, count=1)
        out.append(dst/pages[n])
        out[-1].write_text(body, encoding='utf-8')
    return out

if __name__ == '__main__':
    p = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    p.add_argument('src')
    p.add_argument('dst')
    p.add_argument('--assets')
    a = p.parse_args()
    print(f'{len(render(a.src, a.dst, a.assets))} pages')
