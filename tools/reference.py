"""The pages that nobody writes: every option, every name, the rooms and their floors, and llms.txt

They are made of the code and of tools/imports.py whenever the site is built, so they cannot be stale."""
import ast, json
from pathlib import Path

import imports, structure
from pages import anchor, arguments, signature_of

NAMES = dict(cyclegan='CycleGAN', stargan='StarGAN v2', pixels='StarGAN v2 on pixels', otcfm='Flows (OT-CFM)')

def front_matter(title, description): return f'---\ntitle: {title}\ndescription: {json.dumps(description)}\n---\n'

def cell(words): return str(words).replace('|', '\\|').replace('\n', ' ')

def grid(head, rows):
    "A Markdown table"
    lines = [head, [':--']*len(head), *rows]
    return '\n'.join('| '+' | '.join(map(cell, line))+' |' for line in lines)

# Options

def default(option):
    if option.needed: return 'needed'
    return f'`{option.default!r}`' if option.default != () else ''

def option_rows(options, prefix):
    "A row for each option, which can be linked to"
    for name,o in options.items():
        yield f'<span id="{prefix}-{name}"></span>`{name}`',default(o),o.says

def option_table(options, prefix): return grid(['option', 'default', 'meaning'], option_rows(options, prefix))

def own(options, shared): return {name: o for name,o in options.items() if name not in shared}

def preset_rows(module):
    for name,values in module.PRESETS.items():
        yield f'`{name}`',module.ABOUT.get(name, ''),' '.join(f'`{k}={v!r}`' for k,v in values.items())

def method_part(method, verb, shared, described, module):
    "Options that one method has for itself"
    found = own(described(getattr(module, verb)), shared)
    return option_table(found, f'{verb}-{method}') if found else 'Those that all methods have.'

def options_page():
    from latent_style.common import training, translating
    from latent_style.method import METHODS, module_of
    from latent_style.options import described
    modules = {method: module_of(method) for method in METHODS}
    parts = [front_matter('Every option', 'What can be said to a training and to a translation, with the defaults'), '''
The options are the keyword arguments of `train` and `translate`, under the same names in Python, in a
configuration file and on the command line, where `lr_d` may also be written `--lr-d`. A preset is a set of other
defaults; what you say yourself goes before it.

## Training: options of every method {#train}
''', option_table(described(training), 'train')]
    for method,module in modules.items():
        page = structure.page_of_module(module.__name__.partition('.')[2])
        parts += [f'## Training: {NAMES[method]} {{#train-{method}}}',
                  f'[The lesson](../{page}) tells what they do.', method_part(method, 'train', described(training), described, module),
                  f'### Presets of {NAMES[method]}', grid(['preset', 'what it is', 'sets'], preset_rows(module))]
    parts += ['## Translating: options of every method {#translate}', option_table(described(translating), 'translate')]
    for method,module in modules.items():
        parts += [f'## Translating: {NAMES[method]} {{#translate-{method}}}',
                  method_part(method, 'translate', described(translating), described, module)]
    return '\n\n'.join(parts)+'\n'

# Names

def first_line(node): return (ast.get_docstring(node) or '').split('\n')[0]

def kinds(tree): return [n for n in tree.body if isinstance(n, (ast.FunctionDef, ast.ClassDef)) and n.name[0] != '_']

def call(node):
    "A definition as it is called, in one line"
    f = signature_of(node)
    return f"{node.name}({', '.join(arg for _,arg in arguments(f)) if f else ''})"

def module_definitions(path): return kinds(ast.parse(path.read_text(encoding='utf-8')))

def link(name, page):
    "A name that leads to its definition, or to the page where the page does not show it"
    place = f'#{anchor(name)}' if anchor(name) in structure.page_facts()[page][3] else ''
    return f'[`{name}`](../{page}{place})'

def front_door():
    "(module, definition) of every name that one may build on"
    from latent_style.public import PUBLIC
    places = dict.fromkeys(('train', 'load_run', 'translate'), 'public') | PUBLIC
    for name,place in places.items():
        path = imports.package/f'{place.replace(".", "/")}.py'
        found = [node for node in module_definitions(path) if node.name == name]
        if found: yield place,found[0]

def names_page():
    parts = [front_matter('Every name', 'The front door first, then every function and class, module by module'), '''
## The front door

What [`import latent_style`](../workshop/public.ipynb) offers, and what you may build on.
''']
    rows = [(link(node.name, structure.page_of_module(place)), f'`{call(node)}`', first_line(node))
            for place,node in front_door()]
    parts.append(grid(['name', 'call', 'what it does'], rows))
    for module,page in structure.module_pages().items():
        found = module_definitions(imports.package/f'{module.replace(".", "/")}.py')
        if not found: continue
        rows = [(link(node.name, page), first_line(node)) for node in found]
        parts += [f'## `{module}` {{#{module.replace(".", "-")}}}', grid(['name', 'what it does'], rows)]
    return '\n\n'.join(parts)+'\n'

def structure_page():
    return '\n\n'.join([front_matter('How the parts fit', 'Twelve storeys: a room imports from its own and from those below'), '''
Data goes one way. Pictures become latents once; a batch is a function of the seed and the number of the step;
what a training leaves is a folder, and everything later reads it:
''', structure.flow_picture(), '''
The rooms of the package stand on floors. A room imports from its own floor and from those below it, and the methods
do not import one another; `tools/imports.py` holds the list, and every test run checks it. Each box leads to its page:
lessons are filled, rooms of the workshop are not.
''', structure.floors_picture()])+'\n'

PAGES = {'reference/structure.md': structure_page, 'reference/options.md': options_page, 'reference/names.md': names_page}

def write_pages(dst):
    "Write the pages into the folder `dst`"
    for name,make in PAGES.items():
        path = Path(dst)/name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(make(), encoding='utf-8')

# For language models: https://llmstxt.org

def llms(titles,  # page -> (title, promise), in the order of the sidebar
         about, base):
    "A line a page and a line a public name"
    lines = ['# latent_style', '', f'> {about}', '', '## Pages', '']
    lines += [f'- [{title}]({base}/{page})' + (f': {promise}' if promise else '') for page,(title,promise) in titles.items()]
    lines += ['', '## Public names', '', 'Each is an attribute of `latent_style`.', '']
    lines += [f'- `{call(node)}`: {first_line(node)}' for _,node in front_door()]
    return '\n'.join(lines)+'\n'
