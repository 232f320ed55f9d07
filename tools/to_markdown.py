"""Notebooks as MkDocs reads them: Markdown with the code in fences and the pictures in files

The pages are named as Quarto names them ('03_cyclegan.ipynb' is 'cyclegan.html'), and their cells look as their
options say."""
import base64, html, os, re, shutil
from io import BytesIO
from pathlib import Path, PurePosixPath

import yaml
from PIL import Image
from pages import options, text, without_options

SUFFIXES = {'image/png': 'png', 'image/jpeg': 'jpg', 'image/svg+xml': 'svg'}
FENCE = re.compile(r'^(`{3,}|~{3,}).*?^\1`*[ \t]*$', re.M|re.S)

def front_matter(cells):
    "The YAML that nbdev puts first, or an empty dict"
    first = text(cells[0]['source']).strip() if cells else ''
    if not first.startswith('---'): return {}
    return yaml.safe_load(first.strip('-')) or {}

def page_of(name, cells):
    "Where the Markdown of the notebook `name` lies"
    made = front_matter(cells).get('output-file') or f'{PurePosixPath(name).stem}.html'
    return (PurePosixPath(name).parent/made).with_suffix('.md').as_posix()

def fence(source, kind):
    "A block of code, in more backticks than it has in a row"
    longest = max(map(len, re.findall(r'`+', source)), default=0)
    ticks = '`'*max(3, longest+1)
    return f'{ticks}{kind}\n{source}\n{ticks}'

def details(summary, body):
    return f'<details class="fold" markdown="1"><summary>{html.escape(summary)}</summary>\n\n{body}\n\n</details>'

# Outputs

class Pictures:
    "The pictures of one page, as files beside it"
    def __init__(self, dst, page):
        self.folder,self.page,self.n = Path(dst)/Path(page).with_suffix(''),PurePosixPath(page),0

    def add(self, kind, value, words):
        "Write a picture; the HTML that shows it and leads to it in full size"
        self.n += 1
        data = text(value).encode() if kind == 'image/svg+xml' else base64.b64decode(text(value))
        self.folder.mkdir(parents=True, exist_ok=True)
        path = self.folder/f'{self.n}.{SUFFIXES[kind]}'
        path.write_bytes(data)
        size = '' if kind == 'image/svg+xml' else ' width="{}" height="{}"'.format(*Image.open(BytesIO(data)).size)
        link = f'{self.page.stem}/{path.name}'
        return (f'<a class="picture" href="{link}"><img src="{link}" alt="{html.escape(words)}"{size} '
                'loading="lazy"></a>')

def shown(output, pictures, words):
    "One output as Markdown"
    data = output.get('data', {})
    for kind in SUFFIXES:
        if kind in data: return pictures.add(kind, data[kind], words)
    if 'text/markdown' in data: return text(data['text/markdown'])
    if 'text/html' in data: return '<div class="answer">'+re.sub(r'\n\s*\n', '\n', text(data['text/html']))+'</div>'
    said = text(output.get('text', data.get('text/plain', ''))).rstrip()
    return fence(said, ' { .text .answer }') if said else ''

def joined(outputs):
    "What was printed piece by piece is one output"
    out = []
    for output in outputs:
        if out and output['output_type'] == out[-1]['output_type'] == 'stream':
            out[-1] = {**output, 'text': text(out[-1]['text']) + text(output['text'])}
        else: out.append(output)
    return out

# Cells

def code(cell, pictures):
    own,source = options(cell['source']),without_options(cell['source'])
    if own.get('include') == 'false': return ''
    parts = []
    if source and own.get('echo') != 'false':
        block = fence(source, 'python')
        folded = own.get('code-fold') == 'true'
        parts.append(details(own.get('code-summary', 'Code'), block) if folded else block)
    if own.get('output') != 'false':
        parts += [shown(o, pictures, own.get('fig-alt', '')) for o in joined(cell['outputs'])]
    return '\n\n'.join(filter(None, parts))

def outside(change, words):
    "Change Markdown, its fences left alone"
    out,end = [],0
    for match in FENCE.finditer(words):
        out += [change(words[end:match.start()]), match[0]]
        end = match.end()
    return ''.join([*out, change(words[end:])])

def links(words, here, pages):
    "Links to notebooks become links to their pages"
    def new(match):
        name = os.path.normpath(PurePosixPath(here).parent/match[1]).replace(os.sep, '/')
        if name not in pages: return match[0]
        page = os.path.relpath(pages[name], PurePosixPath(here).parent).replace(os.sep, '/')
        return f']({page}{match[2] or ""})'
    return re.sub(r'\]\(([^)#:\s]+\.(?:ipynb|html))(#[^)\s]*)?\)', new, words)

def prose(words, here, pages):
    "Markdown as Python's reader wants it"
    words = links(words, here, pages).replace('<details>', '<details class="fold" markdown="1">')
    # A formula of its own stands between blank lines
    return re.sub(r'(?<!\$)\$\$(?!\$)(.+?)\$\$', r'\n\n$$\1$$\n\n', words, flags=re.S)

def head(facts):
    "Front matter, title and promise"
    title,promise = facts['title'],facts.get('description')
    plain = facts | dict(title=title.replace('`', ''))
    top = f'---\n{yaml.safe_dump(plain, allow_unicode=True, width=1000)}---\n\n# {title}'
    return top + (f'\n\n<p class="promise" markdown="span">{promise}</p>' if promise else '')

def page(cells, here, pages, dst):
    "A notebook as Markdown; its pictures are written beside it"
    matter,pictures = front_matter(cells),Pictures(dst, pages[here])
    facts = {k: matter[k] for k in ('title', 'description') if matter.get(k)} | dict(notebook=f'nbs/{here}')
    if here == 'index.ipynb': facts['hide'] = ['navigation']       # it is alone in its section
    parts = [head(facts)]
    for cell in cells[1:]:
        if cell['cell_type'] == 'code': parts.append(code(cell, pictures))
        if cell['cell_type'] == 'markdown': parts.append(cell['source'])
    body = '\n\n'.join(filter(None, parts))
    return outside(lambda words: prose(words, here, pages), body)

def markdown_pages(notebooks,  # name -> cells
                   src, dst):
    "All pages and what lies beside them in `dst`; notebook -> page"
    src,dst = Path(src),Path(dst)
    pages = {name: page_of(name, cells) for name,cells in notebooks.items()}
    known = pages | {str(PurePosixPath(page).with_suffix('.html')): page for page in pages.values()}
    for folder in (f for f in src.iterdir() if f.is_dir() and f.name[0] not in '._'):
        shutil.copytree(folder, dst/folder.name, dirs_exist_ok=True, ignore=shutil.ignore_patterns('*.ipynb', '.*'))
    for name,cells in notebooks.items():
        (dst/pages[name]).parent.mkdir(parents=True, exist_ok=True)
        (dst/pages[name]).write_text(page(cells, name, known, dst), encoding='utf-8')
    return pages

def slug(words, separator='-'):
    "The anchor of a heading, as Pandoc makes it"
    words = re.sub(r'[^\w\s.-]', '', re.sub(r'<[^>]+>', '', html.unescape(words))).strip().lower()
    return re.sub(r'^[^a-z]+', '', re.sub(r'\s+', separator, words)) or 'section'
