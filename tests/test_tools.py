"The tools that look at the project: faults that are put in on purpose, pages that are counted"
import ast, json, random, sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parent.parent
sys.path.insert(0, str(ROOT/'tools'))
import form, mutate, project

# Faults

SOURCE = '''def f(x, n=3):
    "Is 3 > 2"
    if x > 2: raise ValueError(f'{x-1} is more than 2')
    y: int = x*2
    print(y+1)
    y += 1
    return y-1
'''

def faults(source, seed=0):
    "(line, kind, the line as it becomes) for all faults of the functions in a text"
    lines,rng = source.splitlines(),random.Random(seed)
    for f in mutate.functions(ast.parse(source)):
        for number,kind,(start,end,new) in mutate.changes(f, lines, rng, f.body[-1]):
            yield number,kind,lines[number-1][:start]+new+lines[number-1][end:]

def test_faults_change_what_a_function_does():
    found = list(faults(SOURCE))
    assert {(number,kind) for number,kind,_ in found} == {
        (3,'comparison'), (3,'constant'), (3,'line left out'), (4,'sign'), (4,'constant'), (6,'constant'),
        (6,'line left out'), (7,'sign'), (7,'constant')}      # no message, type, default, docstring; nothing printed
    changed = dict((kind,line.strip()) for number,kind,line in found if number == 7)
    assert changed['sign'] == 'return y+1' and changed['constant'] in ('return y-0', 'return y-2')
    assert next(line for number,kind,line in found if (number,kind) == (3,'line left out')).strip() == 'if x > 2: pass'

@pytest.fixture(scope='module')
def chosen(): return mutate.choose(200, 0)

def test_faults_are_the_same_for_a_seed():
    first,again,other = (mutate.choose(8, seed, ['disk', 'losses']) for seed in (0,0,1))
    assert first == again != other and {m.module for m in first} == {'disk', 'losses'}

def test_faults_can_be_read(chosen):
    assert len({(m.module,m.line) for m in chosen}) == 200
    for mutant in chosen:
        lines = (project.package/(mutant.module.replace('.', '/')+'.py')).read_text(encoding='utf-8').splitlines()
        assert lines[mutant.line-1] == mutant.old != mutant.new
        ast.parse('\n'.join([*lines[:mutant.line-1], mutant.new, *lines[mutant.line:]]))

def test_a_fault_reaches_module_and_page(chosen, tmp_path):
    for mutant in chosen[::20]:
        names = [mutant.page, f"latent_style/{mutant.module.replace('.', '/')}.py"]
        mutate.fill(tmp_path, names)
        mutate.apply(mutant, tmp_path)
        page,module = ((tmp_path/name).read_text(encoding='utf-8') for name in names)
        cell = next(cell for cell in json.loads(page)['cells'] if cell.get('id') == mutant.cell)
        assert mutant.new in ''.join(cell['source']).splitlines() and mutant.new in module.splitlines()

# Pages

def test_what_counts_as_tested_soon(tmp_path):
    sources = ['#| export\ndef double(x): return 2*x\ndef _own(x): return x\nclass Late: pass', 'double(2)', '# prose',
               'test_eq(double(2), 4)', 'assert Late()']
    cells = [dict(cell_type='code', source=source, outputs=[]) for source in sources]
    cells[2] = dict(cell_type='markdown', source='prose')
    (tmp_path/'page.ipynb').write_text(json.dumps(dict(cells=cells)))
    assert form.Page(tmp_path/'page.ipynb').tested() == dict(double=True, Late=False)
