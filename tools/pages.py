"""What the site shows of a notebook, whoever builds it: nbdev's pages, and the code that they are about

nbdev leaves exported cells out. The code is what a reader of the course came for, so it is put back: open in a lesson,
folded below a table of its arguments in the workshop. So is what stands below the promise in a page's first cell.
Widgets and progress bars, which are nothing without a kernel, are taken out, imports are folded, and pictures get a
text for those who cannot see them."""
import ast, io, json, os, re, tokenize
from pathlib import Path, PurePosixPath

from formulas import in_words

OPTION = re.compile(r'^\s*#\|\s*([\w-]+):?[ \t]*(.*)$', re.M)
BAR = re.compile(r'^\s*[\w ]*:?\s*\d+%\|')
WIDGET = re.compile(r'^\s*(?:<?\w*(?:Box|Widget|Slider|Dropdown|Text|Button|Output|FloatProgress|IntProgress)\()')

def text(value): return value if isinstance(value, str) else ''.join(value)

def unquoted(value): return json.loads(value) if value[:1] == value[-1:] == '"' else value.strip("'")

def options(source): return {name: unquoted(value.strip()) for name,value in OPTION.findall(source)}

def without_options(source): return OPTION.sub('', source).strip('\n')

# Definitions

def parsed(source):
    try: return ast.parse(source)
    except SyntaxError: return ast.parse('')

def named(node): return getattr(node, 'name', '_')[:1] != '_'

def definitions(source):
    "Functions and classes of a cell that have public names"
    kinds = ast.FunctionDef, ast.AsyncFunctionDef, ast.ClassDef
    return [node for node in parsed(source).body if isinstance(node, kinds) and named(node)]

def signature_of(node):
    "The function that is called when the name is: of a class, what builds it"
    if not isinstance(node, ast.ClassDef): return node
    return next((n for n in node.body if isinstance(n, ast.FunctionDef) and n.name == '__init__'), None)

def comments(source):
    "Line -> comment"
    tokens = tokenize.generate_tokens(io.StringIO(source).readline)
    return {t.start[0]: t.string.lstrip('# ') for t in tokens if t.type == tokenize.COMMENT}

def given(arg, default, star=''):
    "An argument as it stands in a call"
    return f'{star}{arg.arg}' + ('' if default is None else f'={ast.unparse(default)}')

def arguments(f):
    "(line, text) of every argument of a function"
    a = f.args
    first = [*a.posonlyargs, *a.args]
    defaults = [None]*(len(first)-len(a.defaults)) + a.defaults
    found = [(arg.lineno, given(arg, default)) for arg,default in zip(first, defaults) if arg.arg not in ('self','cls')]
    if a.vararg: found.append((a.vararg.lineno, given(a.vararg, None, '*')))
    found += [(arg.lineno, given(arg, default)) for arg,default in zip(a.kwonlyargs, a.kw_defaults)]
    if a.kwarg: found.append((a.kwarg.lineno, given(a.kwarg, None, '**')))
    return found

def rows(source, f):
    "What stands on each line of a signature, and the comment beside it"
    says,lines = comments(source),{}
    for line,arg in arguments(f): lines.setdefault(line, []).append(arg)
    return [(args, says.get(line, '')) for line,args in lines.items()]

def cell_text(words): return words.replace('|', '\\|')

def table(source, f):
    "The arguments of a function as a table; '' if no comment explains any of them"
    found = rows(source, f)
    if not any(says for _,says in found): return ''
    lines = [f"| {', '.join(f'`{cell_text(arg)}`' for arg in args)} | {cell_text(says)} |" for args,says in found]
    return '\n'.join(['| | |', '|:--|:--|', *lines])

def anchor(name):
    "What a link to a definition ends with: as nbdev has it, for headings have no capitals there"
    return name.lower()

def methods(node):
    if not isinstance(node, ast.ClassDef): return []
    return [f'{node.name}.{n.name}' for n in node.body if isinstance(n, ast.FunctionDef) and n.name[:2] != '__']

def anchors_of(nodes): return [anchor(name) for node in nodes for name in (node.name, *methods(node))]

def heading(nodes):
    "One heading for all names that a cell defines, each of which can be linked to"
    first,*others = anchors_of(nodes)
    spans = ''.join(f'<span id="{name}"></span>' for name in others)
    return f"### {', '.join(f'`{node.name}`' for node in nodes)}{spans} {{#{first} .api}}"

def call(node):
    "A definition as it is called, in one line"
    f = signature_of(node)
    return f"{node.name}({', '.join(arg for _,arg in arguments(f)) if f else ''})"

def described(source, node):
    "Heading, first words and arguments of one definition"
    f = signature_of(node)
    told = (table(source, f) if f else '') or f'```python\n{call(node)}\n```'
    return '\n\n'.join(filter(None, [heading([node]), ast.get_docstring(node), told]))

def markdown(source): return dict(cell_type='markdown', metadata={}, source=source)

def with_fold(source, summary): return f'#| code-fold: true\n#| code-summary: "{summary}"\n{source}'

def code(source, folded, summary='Source'):
    source = with_fold(source, summary) if folded else source
    return dict(cell_type='code', execution_count=None, metadata={}, outputs=[], source=source)

def definition(cell, lesson):
    "The cells that stand for an exported one"
    source = text(cell['source'])
    own,plain = options(source),without_options(source)
    found = definitions(plain)
    fold = own.get('code-fold') == 'true'
    shown = code(plain, fold or (bool(found) and not lesson), own.get('code-summary', 'Source'))
    if not found: return [shown]
    if lesson: return [markdown(heading(found)), shown]
    return [*(markdown(described(plain, node)) for node in found), shown]

def imports_only(source):
    body = parsed(without_options(source)).body
    return bool(body) and all(isinstance(node, (ast.Import, ast.ImportFrom)) for node in body)

def is_definition(cell):
    "Does a reader of the page see this exported cell?"
    if cell['cell_type'] != 'code': return False
    own = options(text(cell['source']))
    if 'export' not in own or 'hide' in own or own.get('include') == 'false': return False
    body = parsed(without_options(text(cell['source']))).body
    private = [isinstance(node, (ast.Import, ast.ImportFrom)) or not named(node) for node in body]
    return not all(private)

# Outputs

def is_silent(output):
    "A widget without its kernel, or a bar that has long arrived"
    data = output.get('data', {})
    if any('widget' in kind for kind in data): return True
    if set(data)-{'text/plain'}: return False
    said = text(data.get('text/plain', ''))
    return bool(WIDGET.match(said) or BAR.match(said))

def widget_note(cell):
    "What to say in the place of sliders that are nothing without a kernel; '' if there were none"
    outputs = [text(o.get('data', {}).get('text/plain', '')) for o in cell.get('outputs', [])]
    return '*In JupyterLab sliders appear here.*' if any(map(WIDGET.match, outputs)) else ''

def sentence(words):
    "The first sentence of a piece of Markdown, without its marks"
    words = re.sub(r'```.*?```|\$\$.*?\$\$|^#+ .*$|^\|.*$', ' ', words, flags=re.M|re.S)
    words = re.sub(r'!?\[([^\]]*)\]\([^)]*\)', r'\1', words)
    words = re.sub(r'\$([^$\n]+)\$', lambda match: in_words(match[1]), words)
    words = ' '.join(re.sub(r'[*`>]|<[^>]+>', '', words).split())
    return re.split(r'(?<=[.!?:])\s', words)[0][:240]

def picture_text(cells, i):
    "Words for the picture of cell `i`: what the prose below it says, or the title above"
    below = next((text(c['source']) for c in cells[i+1:i+3] if c['cell_type'] == 'markdown'), '')
    if below and not below.lstrip().startswith('#') and sentence(below): return sentence(below)
    above = (re.findall(r'^#+ (.*?)(?:\{.*)?$', text(c['source']), re.M) for c in reversed(cells[:i]))
    title = next((found[-1] for found in above if found), 'this page')
    return f'What the code above draws, in the section “{sentence(title)}”'

def has_picture(cell):
    return any(kind.startswith('image/') for o in cell.get('outputs', []) for kind in o.get('data', {}))

# Links

class Links:
    "nbdev's links to the site's own address become relative ones, and names in code the pages that tell of them"
    def __init__(self, base, lookup, anchors): # `anchors`: page -> what can be linked to on it
        self.base,self.lookup,self.anchors = base.rstrip('/')+'/',lookup,anchors

    def linked(self, words):
        "Markdown with links for the names in backticks; headings and tables' codes too, fences not"
        parts = re.split(r'(^```.*?^```)', words, flags=re.M|re.S)
        return ''.join(part if part.startswith('```') else self.plain(part) for part in parts)

    def plain(self, words): return '\n'.join(map(self.line, words.split('\n')))

    def line(self, line):
        "Headings stay, and so do the arguments of a table: they are names of their own"
        if line.startswith('#'): return line
        first,bar,rest = line.partition(' | ') if line.startswith('| `') else ('', '', line)
        return first + bar + (self.lookup.linkify(rest) or rest)

    def relative(self, words, here):
        "Links to the site's address as seen from the page `here`"
        folder = PurePosixPath(here).parent
        def new(match):
            name,place = match[1] or 'index.html',match[2] or ''
            page = os.path.relpath(name, folder).replace(os.sep, '/')
            return f']({page}{place if place[1:] in self.anchors.get(name, ()) else ""})'
        return re.sub(rf'\]\({re.escape(self.base)}([^)#]*)(#[^)]*)?\)', new, words)

# Pages

def html_of(name):
    "The page of a notebook: nbdev leaves numbers out"
    folder,_,file = name.rpartition('/')
    return f'{folder}/'*bool(folder) + re.sub(r'^\d+[a-zA-Z0-9]*_', '', file).replace('.ipynb', '.html')

def page_anchors(cells):
    "The definitions that a page shows, as they can be linked to"
    for cell in filter(is_definition, cells): yield from anchors_of(definitions(without_options(text(cell['source']))))

def opening(cell):
    "What a page's first cell says below title and promise"
    return re.sub(r'\A# .+\n(?:\s*>.*\n?)*', '', text(cell['source'])).strip()

def shown(source_cells, processed, lesson, links):
    "The cells of a page: those that nbdev shows, and what it has taken out"
    kept = {cell.get('id'): cell for cell in processed[2:]}
    out,first = processed[:1],opening(source_cells[0])
    if first: out.append(markdown(links.linked(first)))
    for cell in source_cells[1:]:
        if is_definition(cell):
            made = definition(cell, lesson)
            for c in made:
                if c['cell_type'] == 'markdown': c['source'] = links.linked(c['source'])
            out += made
        elif cell.get('id') in kept: out.append(kept[cell['id']])
    return out

def tidy(cells, here, links):
    "Outputs that say something, pictures with words, links that lead from page to page"
    out = []
    for i,cell in enumerate(cells):
        cell['source'] = text(cell['source'])
        if cell['cell_type'] == 'markdown': cell['source'] = links.relative(cell['source'], here)
        out.append(cell)
        if cell['cell_type'] != 'code': continue
        if imports_only(cell['source']): cell['source'] = with_fold(cell['source'], 'Imports')
        note = widget_note(cell)
        cell['outputs'] = [o for o in cell['outputs'] if not is_silent(o)]
        if has_picture(cell) and 'fig-alt' not in options(cell['source']):
            cell['source'] = f"#| fig-alt: {json.dumps(picture_text(cells, i), ensure_ascii=False)}\n{cell['source']}"
        if note: out.append(markdown(note))
    return out

def finish(processed,  # folder with what nbdev made of the notebooks; changed in place
           nbs,        # folder of the notebooks
           base,       # address of the site
           lookup      # nbdev's lookup of names
          ):
    "Make every page what a reader should see"
    names = [path.relative_to(processed).as_posix() for path in sorted(Path(processed).rglob('*.ipynb'))]
    sources = {here: json.loads((Path(nbs)/here).read_text(encoding='utf-8'))['cells'] for here in names}
    links = Links(base, lookup, {html_of(here): set(page_anchors(cells)) for here,cells in sources.items()})
    for here,cells in sources.items():
        path = Path(processed)/here
        nb = json.loads(path.read_text(encoding='utf-8'))
        nb['cells'] = tidy(shown(cells, nb['cells'], '/' not in here, links), here, links)
        nb['metadata'].pop('widgets', None)
        path.write_text(json.dumps(nb, ensure_ascii=False, indent=1)+'\n', encoding='utf-8')
