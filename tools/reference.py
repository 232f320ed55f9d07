"""The pages that nobody writes: every option, every name, the rooms and their floors, and llms.txt

They are made of the code and of tools/imports.py whenever the site is built, so they cannot be stale."""
import ast, json
from pathlib import Path

import yaml
import imports, structure
from pages import anchor, call, described, html_of

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

def preset_rows(module):
    for name,values in module.PRESETS.items():
        yield f'`{name}`',module.ABOUT.get(name, ''),' '.join(f'`{k}={v!r}`' for k,v in values.items())

def own_options(module, verb, method, shared):
    "Options that one method has for itself"
    from latent_style.options import described as options_of
    known = options_of(shared)
    found = {name: o for name,o in options_of(getattr(module, verb)).items() if name not in known}
    return option_table(found, f'{verb}-{method}') if found else 'Those that all methods have.'

def options_page():
    from latent_style.common import training, translating
    from latent_style.method import METHODS, module_of
    from latent_style.options import described as options_of
    modules = {method: module_of(method) for method in METHODS}
    parts = [front_matter('Every option', 'What can be said to a training and to a translation, with the defaults'), '''
The options are the keyword arguments of `train` and `translate`, under the same names in Python, in a
configuration file and on the command line, where `lr_d` may also be written `--lr-d`. A preset is a set of other
defaults; what you say yourself goes before it.

## Training: options of every method {#train}
''', option_table(options_of(training), 'train')]
    for method,module in modules.items():
        page = structure.page_of_module(module.__name__.partition('.')[2])
        parts += [f'## Training: {NAMES[method]} {{#train-{method}}}',
                  f'[The lesson](../{page}) tells what they do.', own_options(module, 'train', method, training),
                  f'### Presets of {NAMES[method]}',
                  grid(['preset', 'what it is', 'sets'], preset_rows(module))]
    parts += ['## Translating: options of every method {#translate}']
    parts += [option_table(options_of(translating), 'translate')]
    for method,module in modules.items():
        parts += [f'## Translating: {NAMES[method]} {{#translate-{method}}}',
                  own_options(module, 'translate', method, translating)]
    return '\n\n'.join(parts)+'\n'

# Names

def first_line(node): return (ast.get_docstring(node) or '').split('\n')[0]

def kinds(tree): return [n for n in tree.body if isinstance(n, (ast.FunctionDef, ast.ClassDef)) and n.name[0] != '_']

def source_of(module): return (imports.package/f'{module.replace(".", "/")}.py').read_text(encoding='utf-8')

def module_definitions(module): return kinds(ast.parse(source_of(module)))

def link(name, page):
    "A name that leads to its definition, or to the page where the page does not show it"
    place = f'#{anchor(name)}' if anchor(name) in structure.page_facts()[page][3] else ''
    return f'[`{name}`](../{page}{place})'

def front_door():
    "(module, definition) of every name that one may build on"
    from latent_style.public import PUBLIC
    places = dict.fromkeys(('train', 'load_run', 'translate'), 'public') | PUBLIC
    for name,place in places.items():
        found = [node for node in module_definitions(place) if node.name == name]
        if found: yield place,found[0]

def names_page():
    parts = [front_matter('Every name', 'The front door first, then every function and class, module by module'), '''
## The front door

What [`import latent_style`](../workshop/public.ipynb) offers, and what you may build on.
''']
    for place,node in front_door():
        page = structure.page_of_module(place)
        where = f'Where it is made: [{structure.page_facts()[page][1]}](../{page})'
        parts += [described(source_of(place), node), where]
    for module,page in structure.module_pages().items():
        found = module_definitions(module)
        if not found: continue
        rows = [(link(node.name, page), first_line(node)) for node in found]
        parts += [f'## `{module}` {{#module-{module.replace(".", "-")}}}', grid(['name', 'what it does'], rows)]
    return '\n\n'.join(parts)+'\n'

def structure_page():
    promise = f'{len(structure.STOREYS)} storeys; a room imports from its own floor and from those below it'
    return '\n\n'.join([front_matter('How the parts fit', promise), '''
Data goes one way. Pictures become latents once; a batch is a function of the seed and the number of the step;
what a training leaves is a folder, and everything later reads it:
''', structure.flow_picture(), '''
The rooms of the package stand on floors. A room imports from its own floor and from those below it, and the methods
do not import one another; `tools/imports.py` holds the list, and every test run checks it. Each box leads to its page:
lessons are filled, rooms of the workshop are not.
''', structure.floors_picture()])+'\n'

PAGES = {
    'reference/structure.md': structure_page,
    'reference/options.md': options_page,
    'reference/names.md': names_page,
}

def write_pages(dst):
    "Write the pages, and llms.txt, into the folder `dst`"
    for name,make in PAGES.items():
        path = Path(dst)/name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(make(), encoding='utf-8')
    (Path(dst)/'llms.txt').write_text(llms(dst), encoding='utf-8')

# For language models: https://llmstxt.org

def flat(items):
    "The pages of a sidebar"
    for item in items: yield from [item] if isinstance(item, str) else flat(item['contents'])

def title_and_promise(dst, page):
    if page.endswith('.ipynb'): return structure.page_facts()[page][1:3]
    facts = yaml.safe_load((Path(dst)/page).read_text(encoding='utf-8').split('---')[1])
    return facts['title'],facts['description']

def llms(dst):
    "A line a page and a line a public name"
    told = {}
    for name in ('nbdev.yml', 'sidebar.yml'):
        told |= yaml.safe_load((Path(dst)/name).read_text(encoding='utf-8'))['website']
    lines,base = ['# latent_style', '', f"> {told['description']}", '', '## Pages', ''],told['site-url'].rstrip('/')
    for page in flat(told['sidebar']['contents']):
        title,promise = title_and_promise(dst, page)
        lines.append(f"- [{title}]({base}/{html_of(page).replace('.md', '.html')}): {promise}")
    lines += ['', '## Public names', '', 'Each is an attribute of `latent_style`.', '']
    lines += [f'- `{call(node)}`: {first_line(node)}' for _,node in front_door()]
    return '\n'.join(lines)+'\n'
