"""Does every import of the package lead downwards?

    python tools/imports.py

The rooms stand on floors. A module imports from its own floor and from those below it, whether at its top or inside a
function; the methods, which share a floor, do not import one another; nobody takes another module's private names."""
import ast, sys
from pathlib import Path
from project import modules, package

FLOORS = [floor.split() for floor in '''
basics options common disk samples identity kept standalone tables reading stopwatch
cards picture_files
results finishing_touches
processes hub
shipped
scenes
canvas
landscape light
brushes prints invented
painted codec
codec_training
winograd curvature
kernels
tiles
data
folders easel
autoencoders gather latent_files
store
encoding pictures sources
translation
models
models_style
models_pixels
losses schedules devices flows shortage
strokes
trackers
learner pairing
brushwork company fakes masks
saving
run
callbacks pixel_curves sharing
method
grids
health film repaint
styled
explore
stargan_step
cyclegan stargan stargan_pixels otcfm
texture reflow blocks exporting
browser skeletons
traces
eval
crowds
features metrics
compare
matrix
report sweep entrant
contest
inspection forecast
judge
share
compat legacy
fetch
public
verbs demo app watch
quick exports
pipes sheets about
cli
__main__'''.strip().splitlines()]

METHODS = set('cyclegan stargan stargan_pixels otcfm'.split())
LEVEL = {name: i for i,floor in enumerate(FLOORS) for name in floor}

def room_of(module):
    "The room on a floor that a module belongs to: 'compat' for 'compat.flags'"
    return module.partition('.')[0]

def module_name(path, top=package):
    "'compat.flags' for latent_style/compat/flags.py, 'compat' for the folder's __init__.py"
    parts = path.relative_to(top).with_suffix('').parts
    return '.'.join(parts[:-1] if parts[-1] == '__init__' else parts)

def absolute(node, path, top=package):
    "What an import names, seen from `top`: 'data' for `from .data import x`; `None` if it is of another package"
    name = node.module or ''
    if not node.level:
        first,_,rest = name.partition('.')
        return rest if first == top.name else None
    folder = path.parent
    for _ in range(node.level-1): folder = folder.parent
    return '.'.join([*folder.relative_to(top).parts, *name.split('.')]).strip('.')

def imports_of(path, known, top=package):
    "(module, names, line) for every import of the package's own modules in `path`, those inside functions too"
    for node in ast.walk(ast.parse(path.read_text(encoding='utf-8'))):
        if isinstance(node, ast.Import):
            own = (alias.name.partition('.')[2] for alias in node.names if alias.name.startswith(f'{top.name}.'))
            yield from ((name, [], node.lineno) for name in own)
        if not isinstance(node, ast.ImportFrom): continue
        base = absolute(node, path, top)
        if base is None: continue
        for alias in node.names:
            module = f'{base}.{alias.name}'.strip('.')
            if module in known: yield module,[],node.lineno
            elif base: yield base,[alias.name],node.lineno

def graph_of(files, top=package):
    "module -> list of its imports"
    known = {module_name(f, top) for f in files}
    return {module_name(f, top): list(imports_of(f, known, top)) for f in files}

def upward(graph):
    "Imports that lead up, or from one method into another"
    for module,imports in graph.items():
        here = room_of(module)
        if here not in LEVEL:
            yield f'{module}: stands on no floor, give it a place in tools/imports.py'
            continue
        for other,_,line in imports:
            there = room_of(other)
            if there == here: continue
            found = f'{module}, line {line}: imports {other}'
            if LEVEL.get(there, -1) > LEVEL[here]: yield f'{found}, which stands above it'
            if {here, there} <= METHODS: yield f'{found}, and methods do not import one another'

def private(graph):
    "Names with a leading underscore that another module uses"
    for module,imports in graph.items():
        for other,names,line in imports:
            yield from (f'{module}, line {line}: takes {name} from {other}; give it a public name'
                        for name in names if name[0] == '_' and name[:2] != '__')

def cycles(graph):
    "Modules that import one another in a ring, each ring once"
    edges = {module: {other for other,_,_ in imports} & graph.keys() - {module} for module,imports in graph.items()}
    done = set()
    def walk(module, path):
        if module in path:
            ring = path[path.index(module):]
            yield ' -> '.join([*ring, module])
            return
        if module in done: return
        for other in sorted(edges[module]): yield from walk(other, [*path, module])
        done.add(module)
    for module in sorted(edges):
        yield from (f'a ring of imports: {ring}' for ring in walk(module, []))

def problems(top=package):
    "Every import that should not be, as sentences"
    files = [f for f in modules(top) if f.name != '_modidx.py' and f != top/'__init__.py']
    graph = graph_of(files, top)
    return [*upward(graph), *private(graph), *cycles(graph)]

if __name__ == '__main__':
    bad = problems(*map(Path, sys.argv[1:]))
    if bad: sys.exit('\n'.join(bad))
