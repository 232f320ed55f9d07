"Render nbs/index.ipynb to README.md: prose as it stands, code in fences, hidden cells left out"
import json, re, sys
from pathlib import Path

root = Path(__file__).resolve().parent.parent
DIRECTIVE = re.compile(r'^\s*#\|.*\n?', re.M)
HIDDEN = re.compile(r'^\s*#\|\s*(hide|include:\s*false)\s*$', re.M)
LOCAL = re.compile(r'(\]\(|src=")(?!\w+:|/|#|\.\./)')

def text(x): return x if isinstance(x, str) else ''.join(x)

def outputs(cell):
    "What the cell printed or returned, as text"
    for o in cell.get('outputs', []):
        d = o.get('data', {})
        if o['output_type'] == 'stream': yield text(o['text'])
        elif any(k.startswith('image/') for k in d): continue
        elif 'text/plain' in d: yield text(d['text/plain'])

def parts(nb):
    "The README's paragraphs"
    for c in nb['cells']:
        src = text(c['source'])
        if c['cell_type'] == 'markdown': yield LOCAL.sub(r'\1nbs/', src.strip())
        elif c['cell_type'] == 'code' and not HIDDEN.search(src):
            code = DIRECTIVE.sub('', src).strip()
            if code: yield f'```python\n{code}\n```'
            out = ''.join(outputs(c)).rstrip()
            if out: yield f'```text\n{out}\n```'

def render(f=root/'nbs/index.ipynb'):
    "README text of notebook `f`; its links are relative to nbs/, the README's to the folder above"
    nb = json.loads(Path(f).read_text(encoding='utf-8'))
    first = '<!-- Written by tools/readme.py from nbs/index.ipynb: edit that. -->'
    return '\n\n'.join([first, *parts(nb)]) + '\n'

if __name__ == '__main__':
    dst = root/'README.md'
    new = render()
    if '--check' in sys.argv: sys.exit(dst.read_text(encoding='utf-8') != new and 'README.md is not what nbs/index.ipynb renders to: run make readme')
    dst.write_text(new, encoding='utf-8')
