"""Are the lines, functions and rooms of the project as small as they should be?

    python tools/lines.py                     all notebooks, modules, tests, benchmarks and tools
    python tools/lines.py nbs/00_data.ipynb   these files

Every rule is a function from the text of a file or cell to (line, sentence) pairs. What a page shows is held to the same
rules as what it exports, save the length of functions and cells and the length of names."""
import ast, io, json, sys, tokenize
from pathlib import Path

root = Path(__file__).resolve().parent.parent
WIDTH,BODY,CELL,ROOM = 120,25,40,450

# Names of one or two letters that may live longer than five lines: those of the mathematics, shapes, indices, modules.
SHORT = set('''x y z s a b t u v n w h c k i j d g o p q f m r x0 x1 xt z1 z2 y0 y1 t0 t1 dt dx dy lr id ds G F E D V N C H W
               A B D_A D_B np nn fs ax im up to cb _'''.split())
SHORT -= set('d g p q r'.split())

def source(cell): return ''.join(cell['source'])

def code_of(text):
    "A cell without its magics, which are not Python"
    return '\n'.join('' if line.lstrip()[:1] in ('%', '!') else line for line in text.splitlines())

def long_lines(text):
    for i,line in enumerate(text.splitlines(), 1):
        if len(line) > WIDTH: yield i,f'{len(line)} characters, {WIDTH} are enough'

def semicolons(text):
    tokens = list(tokenize.generate_tokens(io.StringIO(text).readline))
    for a,b in zip(tokens, tokens[1:]):
        if a.type == tokenize.OP and a.string == ';' and b.type not in (tokenize.NEWLINE, tokenize.NL, tokenize.COMMENT):
            yield a.start[0],'a semicolon between statements'

def nested_conditions(tree):
    for node in ast.walk(tree):
        if not isinstance(node, ast.IfExp): continue
        inside = (n for part in (node.test, node.body, node.orelse) for n in ast.walk(part))
        if any(isinstance(n, ast.IfExp) for n in inside): yield node.lineno,'a conditional expression inside another'

def functions(tree):
    return (n for n in ast.walk(tree) if isinstance(n, (ast.FunctionDef, ast.AsyncFunctionDef)))

def statements(f):
    "The statements of a function without its docstring"
    first = f.body[0]
    doc = isinstance(first, ast.Expr) and isinstance(first.value, ast.Constant) and isinstance(first.value.value, str)
    return f.body[1:] if doc else f.body

def long_bodies(tree):
    for f in functions(tree):
        body = statements(f)
        n = body[-1].end_lineno-body[0].lineno+1 if body else 0
        if n > BODY: yield f.lineno,f'{f.name} has {n} lines, {BODY} are enough'

def names_of(f):
    "Name -> lines on which a function's own names appear"
    out = {}
    for n in ast.walk(f):
        name = n.id if isinstance(n, ast.Name) else n.arg if isinstance(n, ast.arg) else None
        if name: out.setdefault(name, []).append(n.lineno)
    return out

def short_names(tree):
    for f in functions(tree):
        bound = {n.id for n in ast.walk(f) if isinstance(n, ast.Name) and isinstance(n.ctx, ast.Store)}
        body = statements(f)
        for name,lines in names_of(f).items():
            if len(name) > 2 or name in SHORT or not body: continue
            args = {a.arg for a in ast.walk(f.args) if isinstance(a, ast.arg)}
            first = body[0].lineno if name in args else min(lines)
            if name in bound|args and max(lines)-first > 5: yield f.lineno,f'{name} lives {max(lines)-first} lines in {f.name}'

def signature_lines(tree):
    "Lines that the signatures of a cell take beyond their first"
    return sum(max(0, (f.body[0].lineno-1)-f.lineno) for f in functions(tree) if f.body)

def long_cell(text, tree):
    n = len(text.strip().splitlines())-signature_lines(tree)
    if n > CELL: yield 1,f'a cell of {n} lines, {CELL} are enough'

def problems_of(text, exported):
    text = code_of(text)
    try: tree = ast.parse(text)
    except SyntaxError: return []      # a cell that shows how something fails
    out = [*long_lines(text), *semicolons(text), *nested_conditions(tree)]
    if exported: out += [*long_bodies(tree), *short_names(tree), *long_cell(text, tree)]
    return out

def notebook_problems(f):
    for i,cell in enumerate(json.loads(f.read_text(encoding='utf-8'))['cells']):
        if cell['cell_type'] != 'code': continue
        text = source(cell)
        for line,what in problems_of(text, '#| export' in text): yield f'{f.relative_to(root)}: cell {i}, line {line}: {what}'

def module_problems(f):
    text = f.read_text(encoding='utf-8')
    if f.parts[-2] != 'tools' and f.is_relative_to(root/'latent_style'):
        n = len(text.splitlines())
        if n > ROOM: yield f'{f.relative_to(root)}: {n} lines, a room has {ROOM}'
        return
    for line,what in problems_of(text, False): yield f'{f.relative_to(root)}: line {line}: {what}'

def everything():
    notebooks = [f for f in (root/'nbs').rglob('*.ipynb') if not any(p[0] in '._' for p in f.relative_to(root/'nbs').parts)]
    modules = [f for f in (root/'latent_style').rglob('*.py') if f.name != '_modidx.py']
    return sorted(notebooks)+sorted(modules)+[f for d in ('tests','tools','bench') for f in sorted((root/d).rglob('*.py'))]

def problems(files=None):
    for f in files or everything():
        yield from notebook_problems(f) if f.suffix == '.ipynb' else module_problems(f)

if __name__ == '__main__':
    bad = list(problems([Path(a).resolve() for a in sys.argv[1:]]))
    if bad: sys.exit('\n'.join(bad))
