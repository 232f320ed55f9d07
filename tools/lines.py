"""Are the lines, functions and rooms of the project as small as they should be?

    python tools/lines.py                     all notebooks, modules, tests, benchmarks and tools
    python tools/lines.py nbs/00_data.ipynb   these files

Every rule is a function from the text of a file or cell to (line, sentence) pairs. What a page shows is held to the
same rules as what it exports, save the length of functions and cells and the length of names."""
import ast, io, json, re, sys, tokenize
from pathlib import Path
from project import modules, notebooks, package, scripts, short

WIDTH,BODY,CELL,ROOM,LIFE = 120,25,40,450,5

# Names of one or two letters that may live longer than LIFE lines: those of the mathematics, shapes, indices, modules.
# `o` are the options of a run, `m` is a method, `f` a function or a file.
SHORT = set('''x y z s a b t u v n w h c k i j o m f x0 x1 xt z1 z2 y0 y1 t0 t1 dt dx dy lr id ds G F E D V N C H W
               A B D_A D_B np nn gr fs ax im up to cb _'''.split())
EXPORT = re.compile(r'^\s*#\|\s*export', re.M)
COMPREHENSIONS = ast.ListComp, ast.SetComp, ast.DictComp, ast.GeneratorExp
EFFECTS = ast.ListComp, ast.SetComp, ast.DictComp, ast.BoolOp, ast.IfExp

def source(cell): return ''.join(cell['source'])

def python(text):
    "A cell without its magics, which are not Python; nothing of a cell that is one magic"
    if text.lstrip().startswith('%%'): return ''
    return '\n'.join('' if line.lstrip()[:1] in ('%', '!') else line for line in text.splitlines())

def parse(text):
    "The code that can be checked and its tree; `None` for a cell that shows how something fails"
    for code in (text, python(text)):
        try: return code,ast.parse(code)
        except SyntaxError: pass
    return python(text),None

# Rules of lines

def long_lines(text):
    for i,line in enumerate(text.splitlines(), 1):
        if len(line) > WIDTH: yield i,f'{len(line)} characters, {WIDTH} are enough'

def semicolons(text):
    tokens = list(tokenize.generate_tokens(io.StringIO(text).readline))
    ends = tokenize.NEWLINE, tokenize.NL, tokenize.COMMENT, tokenize.ENDMARKER
    for token,following in zip(tokens, tokens[1:]):
        between = token.type == tokenize.OP and token.string == ';' and following.type not in ends
        if between: yield token.start[0],'a semicolon between statements'

# Rules of expressions

def nested_conditions(tree):
    for node in ast.walk(tree):
        if not isinstance(node, ast.IfExp): continue
        inside = (n for part in (node.test, node.body, node.orelse) for n in ast.walk(part))
        if any(isinstance(n, ast.IfExp) for n in inside): yield node.lineno,'a conditional expression inside another'

def effects(tree):
    "Expressions inside functions whose value nobody takes"
    for f in functions(tree):
        for node in own_nodes(f):
            if isinstance(node, ast.Expr) and isinstance(node.value, EFFECTS):
                yield node.lineno,'an expression for its effect alone: write the loop or the `if`'

# Rules of functions

def functions(tree):
    return (n for n in ast.walk(tree) if isinstance(n, (ast.FunctionDef, ast.AsyncFunctionDef)))

def own_nodes(f):
    "The nodes of a function, without those of the functions and classes inside it"
    waiting = list(f.body)
    while waiting:
        node = waiting.pop()
        yield node
        if not isinstance(node, (ast.FunctionDef, ast.AsyncFunctionDef, ast.ClassDef)):
            waiting += ast.iter_child_nodes(node)

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

# Rules of names

def bound(node):
    "Names that `node` and what is inside it give values to"
    return {n.id for n in ast.walk(node) if isinstance(n, ast.Name) and isinstance(n.ctx, ast.Store)}

def arguments(f): return {n.arg for n in ast.walk(f.args) if isinstance(n, ast.arg)}

def appearances(node):
    "Name -> lines on which it appears inside `node`; a comprehension's own names and a lambda's are theirs alone"
    out = {}
    def visit(node, foreign):
        if isinstance(node, COMPREHENSIONS): foreign = foreign.union(*(bound(g.target) for g in node.generators))
        if isinstance(node, ast.Lambda): foreign = foreign | arguments(node)
        if isinstance(node, ast.Name) and node.id not in foreign: out.setdefault(node.id, []).append(node.lineno)
        for child in ast.iter_child_nodes(node): visit(child, foreign)
    for part in node.body if isinstance(node.body, list) else [node.body]: visit(part, frozenset())
    return out

def short_names(tree):
    for f in functions(tree):
        body,args = statements(f),arguments(f)
        for name,lines in appearances(f).items():
            if len(name) > 2 or name in SHORT or name not in bound(f)|args: continue
            life = max(lines)-(body[0].lineno if name in args else min(lines))
            if life > LIFE: yield f.lineno,f'{name} lives {life} lines in {f.name}'

# Rules of cells

def signature_lines(text, tree):
    "Lines that the signatures of a cell take beyond their first"
    lines,total = text.splitlines(),0
    for f in functions(tree):
        first = f.body[0]
        same_line = bool(lines[first.lineno-1].encode()[:first.col_offset].strip())
        total += first.lineno-f.lineno-(0 if same_line else 1)
    return total

def long_cells(text, tree):
    own = [line for line in text.strip().splitlines() if not line.startswith('#| code-')]      # directives of the site
    n = len(own)-signature_lines(text, tree)
    if n > CELL: yield 1,f'a cell of {n} lines, {CELL} are enough'

# Files

def problems_of(text, exported):
    code,tree = parse(text)
    if tree is None: return list(long_lines(text))
    out = [*long_lines(text), *semicolons(code), *nested_conditions(tree), *effects(tree)]
    if exported: out += [*long_bodies(tree), *short_names(tree), *long_cells(text, tree)]
    return out

def notebook_problems(f):
    for i,cell in enumerate(json.loads(f.read_text(encoding='utf-8'))['cells']):
        if cell['cell_type'] != 'code': continue
        text = source(cell)
        exported = bool(EXPORT.search(text))
        for line,what in problems_of(text, exported): yield f'{short(f)}: cell {i}, line {line}: {what}'

def module_problems(f):
    text = f.read_text(encoding='utf-8')
    n = len(text.splitlines())
    if not f.is_relative_to(package):
        for line,what in problems_of(text, False): yield f'{short(f)}: line {line}: {what}'
    elif n > ROOM and f.name != '_modidx.py': yield f'{short(f)}: {n} lines, a room has {ROOM}'

def problems(files=None):
    for f in files or notebooks()+modules()+scripts():
        yield from notebook_problems(f) if f.suffix == '.ipynb' else module_problems(f)

if __name__ == '__main__':
    bad = list(problems([Path(name).resolve() for name in sys.argv[1:]]))
    if bad: sys.exit('\n'.join(bad))
