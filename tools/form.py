"""Is every page a lesson? How its cells look to a reader

    python tools/form.py          what breaks a ceiling
    python tools/form.py --table  a line a page: cells, prose, examples, silent ones, first picture, pictures
    python tools/form.py --tested a line a page: public names, those tested soon; then the names that are not

An example is a code cell that the reader sees and that defines nothing for the package. It is silent if nothing stands
under it, or no more than a bare number, truth value or shape. A public function or class is tested soon if one of the
next three cells uses it and asserts something."""
import ast, json, re, sys
import lines
from project import notebooks, root

SILENT = .2         # share of examples that may be silent, page by page
FIRST_PICTURE = 8   # a page of the course has a picture by this cell, counted from 0
SOON = 3            # cells after a definition in which its test should stand

OPTION = re.compile(r'^#\|\s*(\S+)', re.M)
UNSEEN = {'hide', 'hide_input', 'default_exp', 'export', 'exporti', 'exports', 'include:'}
TEST = re.compile('test_|expect_fail')
BARE = re.compile(r'\s*(torch\.Size\()?[\[(]?[-+\d.,eE\s]*(True|False|None)?[\])]*\s*')

def text(value): return ''.join(value)

def options(cell): return set(OPTION.findall(text(cell['source'])))

def statements(cell):
    "What the cell consists of; None for what is not plain Python, such as a magic command"
    try: return ast.parse(text(cell['source'])).body
    except SyntaxError: return None

def imports_of(cell): return [isinstance(node, (ast.Import, ast.ImportFrom)) for node in statements(cell) or []]

def imports_only(cell): return bool(imports_of(cell)) and all(imports_of(cell))

def mixed(cell):
    "Does the cell import and do something else?"
    return any(imports_of(cell)) and not imports_only(cell)

def is_seen(cell): return cell['cell_type'] == 'code' and not options(cell) & {'hide', 'hide_input'}

def is_example(cell): return is_seen(cell) and not options(cell) & UNSEEN and not imports_only(cell)

def is_picture(output): return any(kind.startswith('image/') for kind in output.get('data', {}))

def shows(output):
    "Does this output tell a reader anything?"
    data = output.get('data', {})
    if is_picture(output) or 'text/html' in data or 'text/markdown' in data: return True
    return not BARE.fullmatch(text(output.get('text', data.get('text/plain', ''))))

def is_silent(cell): return not any(map(shows, cell['outputs']))

def has_picture(cell):
    if cell['cell_type'] == 'markdown': return bool(re.search(r'!\[|<img|<svg', text(cell['source'])))
    return any(map(is_picture, cell.get('outputs', [])))

def is_lesson(path): return path.parent == root/'nbs'

def tree_of(cell): return lines.parse(text(cell['source']))[1] or ast.parse('')

def defined(cell):
    "Public functions and classes that a cell gives to the package"
    if cell['cell_type'] != 'code' or not lines.EXPORT.search(text(cell['source'])): return []
    kinds = ast.FunctionDef, ast.ClassDef
    return [node.name for node in tree_of(cell).body if isinstance(node, kinds) and node.name[0] != '_']

def used_in_test(cell):
    "Names in a cell that asserts something; none of one that does not"
    if cell['cell_type'] != 'code' or lines.EXPORT.search(text(cell['source'])): return set()
    nodes = list(ast.walk(tree_of(cell)))
    names = {node.id for node in nodes if isinstance(node, ast.Name)}
    asserts = any(isinstance(node, ast.Assert) for node in nodes) or any(map(TEST.match, names))
    return names | {node.attr for node in nodes if isinstance(node, ast.Attribute)} if asserts else set()

class Page:
    "One notebook, counted"
    def __init__(self, path):
        self.path = path
        self.cells = json.loads(path.read_text(encoding='utf-8'))['cells']
        self.prose = sum(cell['cell_type'] == 'markdown' for cell in self.cells)
        self.examples = [i for i,cell in enumerate(self.cells) if is_example(cell)]
        self.silent = [i for i in self.examples if is_silent(self.cells[i])]
        self.mixed = [i for i,cell in enumerate(self.cells) if is_seen(cell) and mixed(cell)]
        self.pictures = [i for i,cell in enumerate(self.cells) if has_picture(cell)]

    def tested(self):
        "Public name -> is it tested soon?"
        after = [used_in_test(cell) for cell in self.cells]
        return {name: any(name in used for used in after[i+1:i+1+SOON])
                for i,cell in enumerate(self.cells) for name in defined(cell)}

    def problems(self):
        name = self.path.relative_to(root)
        if len(self.silent) > SILENT*len(self.examples):
            yield f'{name}: {len(self.silent)} of {len(self.examples)} examples show nothing: cells {self.silent}'
        if is_lesson(self.path) and not any(i <= FIRST_PICTURE for i in self.pictures):
            yield f'{name}: no picture in its first {FIRST_PICTURE} cells'
        for i in self.mixed: yield f'{name}: cell {i} imports and does something else'

    def __str__(self):
        first = self.pictures[0] if self.pictures else '-'
        return (f'{self.path.stem:24}{len(self.cells):5}{self.prose:5}{len(self.examples):5}{len(self.silent):5}'
                f'{first:>5}{len(self.pictures):5}')

def pages(): return [Page(path) for path in notebooks()]

def problems(): return [problem for page in pages() for problem in page.problems()]

def table(found):
    print(f'{"page":24}cells  prose exampl silent first pictures')
    for page in found: print(page)
    silent,examples = (sum(len(getattr(page, name)) for page in found) for name in ('silent', 'examples'))
    print(f'{silent} of {examples} examples are silent: {silent/examples:.0%}')

def tested_table(found):
    said = {page.path.stem: page.tested() for page in found}
    said = {page: names for page,names in said.items() if names}
    print(f'{"page":24}names  soon')
    for page,names in said.items(): print(f'{page:24}{len(names):5}{sum(names.values()):6}')
    for page,names in said.items():
        late = [name for name,soon in names.items() if not soon]
        if late: print(f'{page}: {" ".join(late)}')
    every = [soon for names in said.values() for soon in names.values()]
    print(f'{sum(every)} of {len(every)} public functions and classes are tested within {SOON} cells: '
          f'{sum(every)/len(every):.0%}')

if __name__ == '__main__':
    if '--table' in sys.argv: table(pages())
    elif '--tested' in sys.argv: tested_table(pages())
    else: print(*problems(), sep='\n')
