"Render nbs/index.ipynb to README.md: prose as it stands, code in fences, hidden cells left out"
import json, re, sys
from pathlib import Path

root = Path(__file__).resolve().parent.parent
STALE = 'README.md is not what nbs/index.ipynb renders to: run make readme'
DIRECTIVE = re.compile(r'^\s*#\|.*\n?', re.M)
HIDDEN = re.compile(r'^\s*#\|\s*(hide|include:\s*false)\s*$', re.M)
LOCAL = re.compile(r'(\]\(|src=")(?!\w+:|/|#|\.\./)')

def text(x): return x if isinstance(x, str) else ''.join(x)

def outputs(cell):
    "What the cell printed or returned, as text"
    for output in cell.get('outputs', []):
        data = output.get('data', {})
        if output['output_type'] == 'stream': yield text(output['text'])
        elif any(kind.startswith('image/') for kind in data): continue
        elif 'text/plain' in data: yield text(data['text/plain'])

def parts(nb):
    "The README's paragraphs"
    for cell in nb['cells']:
        source = text(cell['source'])
        if cell['cell_type'] == 'markdown': yield LOCAL.sub(r'\1nbs/', source.strip())
        if cell['cell_type'] != 'code' or HIDDEN.search(source): continue
        code = DIRECTIVE.sub('', source).strip()
        printed = ''.join(outputs(cell)).rstrip()
        if code: yield f'```python\n{code}\n```'
        if printed: yield f'```text\n{printed}\n```'

def render(f=root/'nbs/index.ipynb'):
    "README text of notebook `f`; its links are relative to nbs/, the README's to the folder above"
    nb = json.loads(Path(f).read_text(encoding='utf-8'))
    first = '<!-- Written by tools/readme.py from nbs/index.ipynb: edit that. -->'
    return '\n\n'.join([first, *parts(nb)]) + '\n'

def main(check):
    "Write the README, or only say whether it is what it should be"
    path,new = root/'README.md',render()
    if not check: path.write_text(new, encoding='utf-8')
    elif path.read_text(encoding='utf-8') != new: sys.exit(STALE)

if __name__ == '__main__': main('--check' in sys.argv)
