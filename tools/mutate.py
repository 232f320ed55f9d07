"""Do the pages notice when the package is wrong? Small faults, one at a time, and what the page that exports them says

    python tools/mutate.py                         150 mutants over all modules, log in runs/mutants.jsonl
    python tools/mutate.py --only losses --n 10    ten in one module
    python tools/mutate.py --n 150 --seed 1 --workers 2 --log runs/others.jsonl
    python tools/mutate.py --list                  show them, run nothing

A mutant is one changed line inside an exported function: a comparison, a sign, a constant, or a line left out. It is
put into the module and into the cell of the notebook that exports it, in a copy of the project; then the page runs as
nbdev_test would run it. The mutant is caught if a cell fails or the page takes far longer than without it. Called
again, the tool goes on where its log ends; mutants of a page whose code has changed since are run anew."""
import argparse, ast, hashlib, json, multiprocessing, os, random, re, shutil, signal, subprocess, sys, tempfile, time
from collections import Counter, namedtuple
from concurrent.futures import ThreadPoolExecutor
from functools import cache
from pathlib import Path

os.environ.update(OMP_WAIT_POLICY='passive', GOMP_SPINCOUNT='10000', HF_HUB_OFFLINE='1')
os.environ.setdefault('OMP_NUM_THREADS', '1')

from execute import skipped
from project import modules, package, root

SLACK = 3,30       # a page may take this many times as long as without a mutant, and so many seconds more
MARK = re.compile(r'# %% \S*?(nbs/\S+\.ipynb) #(\S+)')
GPU = re.compile(r'cuda|mps|triton')                # cannot run where there is no GPU
LATE = 'more than'
LOOKS = set('figsize dpi alpha lw linewidth fontsize s labelpad pad rotation stacklevel width ncols loc zorder'.split())
DRAWN = set('ax axs fig plt print'.split())
COMPARE = {ast.Lt: ('<', ['<=', '>=']), ast.LtE: ('<=', ['<', '>']), ast.Gt: ('>', ['>=', '<=']),
           ast.GtE: ('>=', ['>', '<']), ast.Eq: ('==', ['!=']), ast.NotEq: ('!=', ['==']),
           ast.Is: ('is', ['is not']), ast.IsNot: ('is not', ['is']),
           ast.In: ('in', ['not in']), ast.NotIn: ('not in', ['in'])}
SIGNS = {ast.Add: ('+', '-'), ast.Sub: ('-', '+'), ast.Mult: ('*', '/'), ast.Div: ('/', '*')}
Mutant = namedtuple('Mutant', 'module line kind old new page cell')

# Where a line may be changed: a change is (first column, last column, new text), in bytes as `ast` counts them

def is_text(node):
    return isinstance(node, ast.JoinedStr) or isinstance(node, ast.Constant) and isinstance(node.value, str)

def between(line, left, right, old, new):
    "The change of an operator that stands between two expressions of a line"
    start,end = left.end_col_offset,right.col_offset
    sign = rf'\b{old}\b' if old[0].isalpha() else re.escape(old)
    return start,end,re.sub(sign, new, line[start:end].decode(), count=1)

def other_number(value, rng):
    if isinstance(value, bool): return str(not value)
    if isinstance(value, int): return str(rng.choice([value+1, value-1]) if value > 0 else 1)
    return repr(value*2) if value else '1.'

def expression_changes(node, line, rng):
    "(kind, change) for everything in one expression node"
    if isinstance(node, ast.Compare):
        old,new = COMPARE[type(node.ops[0])]
        yield 'comparison',between(line, node.left, node.comparators[0], old, rng.choice(new))
    if isinstance(node, ast.BinOp) and type(node.op) in SIGNS and not (is_text(node.left) or is_text(node.right)):
        yield 'sign',between(line, node.left, node.right, *SIGNS[type(node.op)])
    if isinstance(node, ast.UnaryOp) and isinstance(node.op, ast.USub):
        yield 'sign',(node.col_offset, node.col_offset+1, '')
    if isinstance(node, ast.Constant) and isinstance(node.value, (bool, int, float)):
        yield 'constant',(node.col_offset, node.end_col_offset, other_number(node.value, rng))

def name_of(node):
    "The first name of `ax.set(...)` or `print(...)`, '' for anything else"
    while isinstance(node, (ast.Call, ast.Attribute, ast.Subscript)): node = getattr(node, 'func', None) or node.value
    return node.id if isinstance(node, ast.Name) else ''

def droppable(node, last):
    "Is the function still one that runs without this statement?"
    if isinstance(node, ast.Expr): return isinstance(node.value, ast.Call) and name_of(node.value) not in DRAWN
    if isinstance(node, ast.Return): return node is not last
    if isinstance(node, ast.Assign):
        names = {n.id for n in ast.walk(node.value) if isinstance(n, ast.Name)}
        return all(not isinstance(t, ast.Name) or t.id in names for t in node.targets) and not is_tuple(node)
    return isinstance(node, (ast.AugAssign, ast.Raise, ast.Continue, ast.Break))

def is_tuple(node): return any(isinstance(target, ast.Tuple) for target in node.targets)

def quiet(node):
    "Does nothing below this node change what the package does? Messages, looks, types"
    if isinstance(node, ast.Raise) or is_text(node): return True
    if isinstance(node, ast.Call): return name_of(node) in DRAWN or ast.unparse(node.func).endswith('warn')
    return isinstance(node, ast.keyword) and node.arg in LOOKS

def parts(node):
    "The children of a node that are not types, defaults or decorators"
    if isinstance(node, (ast.FunctionDef, ast.AsyncFunctionDef, ast.ClassDef)): return node.body
    if isinstance(node, ast.AnnAssign): return [node.value] if node.value else []
    return ast.iter_child_nodes(node)

def changes(node, lines, rng, last):
    "(line, kind, change) for all that is inside a function"
    if getattr(node, 'lineno', 0) and node.lineno == node.end_lineno:
        line = lines[node.lineno-1].encode()
        if isinstance(node, ast.stmt) and droppable(node, last):
            yield node.lineno,'line left out',(node.col_offset, node.end_col_offset, 'pass')
        if isinstance(node, ast.expr) and not quiet(node):
            yield from ((node.lineno, *found) for found in expression_changes(node, line, rng))
    if quiet(node): return
    for part in parts(node): yield from changes(part, lines, rng, last)

def functions(tree):
    "Functions of a module and methods of its classes"
    for node in tree.body:
        if isinstance(node, ast.FunctionDef): yield node
        if isinstance(node, ast.ClassDef): yield from (n for n in node.body if isinstance(n, ast.FunctionDef))

def cell_at(lines, number):
    "Page, id of the cell, and the number of the line inside it, of a line of a module"
    start = next((i for i in range(number-1, -1, -1) if MARK.match(lines[i])), None)
    return None if start is None else (*MARK.match(lines[start]).groups(), number-2-start)

def name_of_module(path): return path.relative_to(package).with_suffix('').as_posix().replace('/', '.')

def mutants_of(path, rng):
    "Every mutant of a module: line number -> list"
    text = path.read_text(encoding='utf-8')
    lines,found = text.splitlines(),{}
    for f in functions(ast.parse(text)):
        for number,kind,(start,end,new) in changes(f, lines, rng, f.body[-1]):
            line,place = lines[number-1].encode(),cell_at(lines, number)
            changed = (line[:start]+new.encode()+line[end:]).decode()
            if not place or changed == line.decode() or GPU.search(changed): continue
            mutant = Mutant(name_of_module(path), number, kind, lines[number-1], changed, *place[:2])
            found.setdefault(number, []).append(mutant)
    return found

def choose(n, seed, only=()):
    "`n` mutants, no two in one line: one in every module, the others wherever lines are"
    rng,rest,first = random.Random(seed),[],[]
    for path in modules():
        if path.name.startswith('_') or only and name_of_module(path) not in only: continue
        own = random.Random(f'{seed} {path.name}')          # other modules come and go
        found = [own.choice(same) for same in mutants_of(path, own).values()]
        own.shuffle(found)
        first += found[:1]
        rest += found[1:]
    rng.shuffle(first)
    rng.shuffle(rest)
    return sorted((first+rest)[:n])

# Running a page with a mutant in it

def tracked():
    "The project's files, those that git does not know yet among them"
    ask = 'git', 'ls-files', '-co', '--exclude-standard'
    r = subprocess.run(ask, cwd=root, capture_output=True, text=True, check=True)
    return [name for name in r.stdout.splitlines() if (root/name).is_file()]

def fill(copy, names):
    for name in names:
        (copy/name).parent.mkdir(parents=True, exist_ok=True)
        shutil.copy(root/name, copy/name, follow_symlinks=False)

def replace_line(lines, number, old, new):
    assert lines[number].rstrip('\n') == old, f'{lines[number]!r} is not {old!r}'
    lines[number] = lines[number].replace(old, new)

def apply(mutant, copy):
    "Put the mutant into the module and into the page that exports it"
    path = copy/package.name/(mutant.module.replace('.', '/')+'.py')
    lines = path.read_text(encoding='utf-8').splitlines(keepends=True)
    inside = cell_at([line.rstrip('\n') for line in lines], mutant.line)[2]
    replace_line(lines, mutant.line-1, mutant.old, mutant.new)
    path.write_text(''.join(lines), encoding='utf-8')
    page = json.loads((copy/mutant.page).read_text(encoding='utf-8'))
    cell = next(cell for cell in page['cells'] if cell.get('id') == mutant.cell)
    source = ''.join(cell['source']).splitlines(keepends=True)
    kept = [i for i,line in enumerate(source) if not line.startswith('#| export')]      # those that the module has
    first = next(k for k,i in enumerate(kept) if source[i].strip())
    replace_line(source, kept[first+inside], mutant.old, mutant.new)
    cell['source'] = source
    (copy/mutant.page).write_text(json.dumps(page), encoding='utf-8')

def run_page(copy, page, tell):
    "In a process of its own: run the cells that nbdev_test would run; write '' or the first error into the file `tell`"
    os.setsid()
    os.environ.update(PYTHONPATH=str(copy), IN_TEST='1')      # nbdev exports nothing then
    sys.path.insert(0, str(copy))
    os.chdir((copy/page).parent)
    with open(os.devnull, 'w') as nowhere:
        os.dup2(nowhere.fileno(), 1)
        os.dup2(nowhere.fileno(), 2)
    import nbformat
    from execnb.shell import CaptureShell
    from nbdev.config import get_config
    shell,flags = CaptureShell(copy/page),set(get_config(path=copy).tst_flags.split())
    for i,cell in enumerate(nbformat.read(copy/page, as_version=4).cells):
        if cell.cell_type != 'code' or skipped(cell, flags): continue
        shell.run(cell.source)
        if shell.exc:
            first = (str(shell.exc).strip().splitlines() or [''])[0]
            tell.write_text(f'cell {i}: {type(shell.exc).__name__}: {first[:120]}', encoding='utf-8')
            os._exit(0)
    tell.write_text('', encoding='utf-8')
    os._exit(0)

def outcome(page, names, limit, mutant=None):
    "What the page says, '' if nothing, and its seconds"
    with tempfile.TemporaryDirectory() as folder:
        copy,tell = Path(folder)/'repo',Path(folder)/'said'
        fill(copy, names)
        if mutant: apply(mutant, copy)
        start = time.time()
        child = multiprocessing.get_context('forkserver').Process(target=run_page, args=(copy, page, tell))
        child.start()
        child.join(limit)
        said = tell.read_text(encoding='utf-8') if tell.exists() else f'the process ended: {child.exitcode}'
        if child.exitcode is None: said = f'{LATE} {limit:.0f} s'
        try: os.killpg(child.pid, signal.SIGKILL)          # whatever the page has started, too
        except ProcessLookupError: pass
        child.join()
        return said,time.time()-start

# The log: a line for every page without a mutant, a line for every mutant

@cache
def digest(page):
    "Of a page's code: what was said of another version does not count"
    cells = json.loads((root/page).read_text(encoding='utf-8'))['cells']
    text = '\n'.join(''.join(cell['source']) for cell in cells if cell['cell_type'] == 'code')
    return hashlib.sha256(text.encode()).hexdigest()[:12]

def key_of(mutant): return f'{mutant.page}:{digest(mutant.page)}:{mutant.line}:{mutant.new.strip()}'

def read_log(path):
    "key -> what was logged"
    if not path.exists(): return {}
    return {row['key']: row for row in map(json.loads, path.read_text(encoding='utf-8').splitlines())}

class Trial:
    "Mutants, pages, the log and the clock"
    def __init__(self, path, limit=300): # log; seconds for a page without mutants
        self.path,self.limit,self.log,self.names = path,limit,read_log(path),tracked()
        path.parent.mkdir(parents=True, exist_ok=True)

    def write(self, key, **row):
        self.log[key] = dict(key=key, **row)
        with open(self.path, 'a', encoding='utf-8') as f: f.write(json.dumps(self.log[key], ensure_ascii=False)+'\n')

    def seconds(self, page):
        "How long the page takes without mutants; `None` if it fails"
        key = f'{page}:{digest(page)}'
        if key not in self.log:
            said,took = outcome(page, self.names, self.limit)
            self.write(key, page=page, said=said, seconds=round(took, 1))
            if said: print(f'{page} fails without a mutant: {said}', flush=True)
        row = self.log[key]
        return None if row['said'] else row['seconds']

    def run_page(self, page, mutants):
        "All mutants of a page"
        waiting = [m for m in mutants if key_of(m) not in self.log]
        usual = self.seconds(page) if waiting else None
        if usual is None: return
        for mutant in waiting:
            said,took = outcome(page, self.names, SLACK[0]*usual+SLACK[1], mutant)
            self.write(key_of(mutant), **mutant._asdict(), said=said, seconds=round(took, 1))
            verdict = 'caught  ' if said else 'SURVIVES'
            print(f'{verdict} {mutant.module}, line {mutant.line}: {mutant.new.strip()}', flush=True)

def described(m):
    return f'{m.page}, {m.module} line {m.line}, {m.kind}\n  - {m.old.strip()}\n  + {m.new.strip()}'

def report(mutants, log):
    "A table by module, the survivors, and the share caught"
    rows = [(m, log[key_of(m)]) for m in mutants if key_of(m) in log]
    made,caught = (Counter(m.module for m,row in rows if row['said'] or every) for every in (True, False))
    print(f'\n{"module":20}mutants caught')
    for name in sorted(made): print(f'{name:20}{made[name]:7}{caught[name]:7}')
    for kind in sorted({m.kind for m,_ in rows}):
        said = [bool(row['said']) for m,row in rows if m.kind == kind]
        print(f'{kind:20}{len(said):7}{sum(said):7}')
    print('\nSurvivors')
    for m,row in rows:
        if not row['said']: print(described(m))
    share,late = f'{caught.total()/len(rows):.0%}' if rows else '-',sum(row['said'].startswith(LATE) for _,row in rows)
    print(f'\n{caught.total()} of {len(rows)} caught, {late} of them by the clock: {share}; '
          f'{len(mutants)-len(rows)} not run')

def by_page(mutants):
    pages = {}
    for mutant in mutants: pages.setdefault(mutant.page, []).append(mutant)
    return pages

def main():
    p = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    p.add_argument('--n', type=int, default=150, help='number of mutants')
    p.add_argument('--seed', type=int, default=0)
    p.add_argument('--workers', type=int, default=2, help='pages at the same time')
    p.add_argument('--only', nargs='*', default=(), help='modules: losses compat.flags')
    p.add_argument('--log', type=Path, default=root/'runs/mutants.jsonl')
    p.add_argument('--list', action='store_true', help='show the mutants and what the log says of them')
    a = p.parse_args()
    mutants,trial = choose(a.n, a.seed, a.only),Trial(a.log)
    if a.list: print(*map(described, mutants), sep='\n')
    else:
        # Processes fork from one that has read the slow packages, and nothing of ours
        multiprocessing.set_forkserver_preload('torch matplotlib.pyplot scipy.stats execnb.shell execute'.split())
        with ThreadPoolExecutor(a.workers) as pool: list(pool.map(trial.run_page, *zip(*by_page(mutants).items())))
    report(mutants, trial.log)

if __name__ == '__main__': main()
