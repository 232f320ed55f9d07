"The documentation as MkDocs builds it: every notebook is a page, every link leads somewhere, every formula is set"
import html, json, re, sys
from functools import cache
from pathlib import Path
from urllib.parse import unquote

import pytest, yaml

ROOT = Path(__file__).resolve().parent.parent
sys.path.insert(0, str(ROOT/'tools'))
import formulas, imports, pages, project, reference, structure, to_markdown

NBS = project.notebooks()
HIDDEN = re.compile(r'^#\|\s*(hide|include:\s*false|output:\s*false|default_exp)', re.M)

def cells(f): return json.loads(f.read_text(encoding='utf-8'))['cells']

def source(cell): return ''.join(cell['source'])

def title(f): return re.match(r'# (.+)', source(cells(f)[0]))[1].strip()

def page(site, f): return site/pages.html_of(f.relative_to(ROOT/'nbs').as_posix())

@cache
def text(path): return path.read_text(encoding='utf-8')

@cache
def article(path):
    "What stands between the navigation and the footer"
    return re.search(r'<article.*</article>', text(path), re.S)[0]

def all_pages(site):
    "All but the error page and the page that paints, which is no document"
    return [f for f in sorted(site.rglob('*.html')) if f.name != '404.html' and f.parent != site/'try']

def words(path):
    "The page's own words, without code, formulas and marks"
    shown = re.sub(r'<(pre|code|math|svg|script|style)\b.*?</\1>', ' ', article(path), flags=re.S)
    return html.unescape(re.sub(r'<[^>]+>', ' ', shown))

# Pages

def shows_pictures(f):
    "Has the page pictures to show, in cells that are not hidden?"
    seen = [cell for cell in cells(f) if cell['cell_type'] == 'code' and not HIDDEN.search(source(cell))]
    return any(pages.has_picture(cell) for cell in seen)

@pytest.mark.parametrize('nb', NBS, ids=lambda f: f.stem)
def test_page(site, nb):
    path = page(site, nb)
    heads = [html.unescape(re.sub('<.*?>', '', head)) for head in re.findall(r'<h1[^>]*>(.*?)</h1>', text(path), re.S)]
    assert any(head.startswith(re.sub('[`*]', '', title(nb))) for head in heads), heads[:3]
    if shows_pictures(nb): assert '<a class="picture"' in text(path), 'the pictures are missing'
    assert 'Traceback (most recent call last)' not in article(path)
    assert nb.relative_to(ROOT).as_posix() in text(path), 'no link to the notebook'

def plain(markdown):
    "The words of some Markdown, without its marks, tables, pictures, formulas, tags and code"
    markdown = re.sub(r'<[^>]+>|^ {4}.*$', ' ', markdown, flags=re.M)
    markdown = re.sub(r'```.*?```|`[^`]*`|\$\$.*?\$\$|\$[^$]*\$|!\[.*?\]\(.*?\)|^\|.*$', ' ', markdown, flags=re.S|re.M)
    return re.findall(r'[a-z]{3,}', re.sub(r'\]\([^)]*\)', ' ', markdown).lower())

@pytest.mark.parametrize('nb', NBS, ids=lambda f: f.stem)
def test_prose_is_shown(site, nb):
    "From the opening below the promise to the last cell"
    prose = [source(cell) for cell in cells(nb) if cell['cell_type'] == 'markdown']
    missing = set(plain(' '.join(prose))) - set(re.findall(r'[a-z]{3,}', words(page(site, nb)).lower()))
    assert len(missing) <= 2, missing

@pytest.mark.parametrize('nb', NBS, ids=lambda f: f.stem)
def test_definitions_are_shown(site, nb):
    "What a page exports can be read on it, and linked to"
    shown = set(re.findall(r'\sid="([^"]+)"', text(page(site, nb))))
    missing = set(pages.page_anchors(cells(nb))) - shown
    assert not missing, missing

def test_pages_are_in_the_order_of_the_sidebar(site):
    course = [f for f in NBS if f.name[0].isdigit()]
    for a,b in zip(course, course[1:]):
        assert f'<a href="{page(site, b).name}" class="md-footer__link md-footer__link--next"' in text(page(site, a))
        assert f'<a href="{page(site, a).name}" class="md-footer__link md-footer__link--prev"' in text(page(site, b))

# Links

def ids(path): return set(re.findall(r'\sid="?([^"\s>]+)', text(path)))

def links(path): return [html.unescape(link) for link in re.findall(r'<a\b[^>]*?\shref="([^"]*)"', text(path))]

def test_links_lead_somewhere(site):
    "From page to page and to every place on it"
    known,bad,n = {path: ids(path) for path in all_pages(site)},[],0
    for path in all_pages(site):
        for link in links(path):
            if re.match(r'\w+:', link): continue
            name,_,place = unquote(link).partition('#')
            to = (path.parent/name).resolve() if name else path
            n += 1
            found = to.exists() and (not place or place in known.get(to, ()))
            if not found: bad.append(f'{path.relative_to(site)}: {link}')
    assert n > 10_000 and not bad, '\n'.join(sorted(set(bad)))

def test_pictures_are_there_and_told(site):
    "Every picture has a file, and words for those who cannot see it"
    for path in all_pages(site):
        for img in re.findall(r'<img\b[^>]*>', text(path)):
            src,alt = re.search(r'src="([^"]*)"', img),re.search(r'alt="([^"]*)"', img)
            assert alt and alt[1].strip(), f'{path.relative_to(site)}: no words for {img[:200]}'
            assert src[1].startswith('data:') or (path.parent/unquote(src[1])).is_file(), f'{path.name}: {src[1]}'

def test_nothing_comes_from_elsewhere(site):
    "No script, style or font of another site"
    for path in [*all_pages(site), *site.rglob('*.css')]:
        wanted = re.findall(r'<(?:script|link|iframe|img)\b[^>]*?\s(?:src|href)="((?:https?:)?//[^"]+)"', text(path))
        own = re.findall(r'<link rel="canonical" href="([^"]+)"', text(path))
        assert not set(wanted)-set(own), f'{path.relative_to(site)}: {set(wanted)-set(own)}'
        assert not re.search(r'(?:url\(|@import )["\']?(?:https?:)?//', text(path)), path.relative_to(site)

# Formulas and outputs

def test_formulas_are_set(site):
    n = 0
    for path in all_pages(site):
        left = re.findall(r'\$\$|\\\(|\\\[|\\[a-z]+\{|arithmatex|(?<!\w)\$[^$\n]{1,80}\$(?!\w)', words(path))
        assert not left, f'{path.relative_to(site)}: {left[:3]}'
        n += article(path).count('<math ')
    assert n > 300

def test_a_formula_that_cannot_be_set_is_an_error():
    with pytest.raises(ValueError, match='nosuchsign'): formulas.with_formulas(r'a \nosuchsign b', 'inline')
    with pytest.raises(ValueError, match='two backslashes'): formulas.with_formulas(r'\\mathcal L', 'block')
    assert 'munder' in formulas.with_formulas(r'\arg\min_x f', 'block')

def test_no_widget_is_shown_as_text(site):
    for path in all_pages(site):
        assert not re.search(r'\b(?:HBox|VBox|Box|IntSlider|Output)\(', words(path)), path.relative_to(site)
        answers = re.findall(r'<div class="[^"]*answer[^"]*">.*?</div>', article(path), re.S)
        assert not [a for a in answers if re.search(r'(?:HBox|VBox)\(|\d+%\|', a)], path.relative_to(site)

def test_words_for_a_picture():
    below = dict(cell_type='markdown', source='With $\\varepsilon$ it *moves* to [there](a.ipynb). Then it stops.')
    assert pages.picture_text([code('draw()'), below], 0) == 'With ε it moves to there.'
    own = pages.options('#| fig-alt: "a \\"sign\\""\n#| echo: false')
    assert own == {'fig-alt': 'a "sign"', 'echo': 'false'}

def code(source, *outputs): return dict(cell_type='code', source=source, outputs=list(outputs), metadata={})

def said(words): return dict(output_type='stream', name='stdout', text=words)

def test_cells_look_as_their_options_say(tmp_path):
    def shown(source): return to_markdown.code(code(source, said('four')), to_markdown.Pictures(tmp_path, 'a.md'))
    assert 'x = 4' in shown('x = 4') and 'four' in shown('x = 4')
    assert shown('#| include: false\nx = 4') == ''
    assert 'x = 4' not in shown('#| echo: false\nx = 4') and 'four' in shown('#| echo: false\nx = 4')
    assert 'four' not in shown('#| output: false\nx = 4')
    folded = shown('#| code-fold: true\n#| code-summary: "A solution"\nx = 4')
    assert re.match(r'<details[^>]*><summary>A solution</summary>', folded) and '#|' not in folded
    assert folded.index('</details>') < folded.index('four'), 'the output is not folded'

def test_folds_and_their_cells(site):
    "As many solutions as the notebooks have"
    for nb in NBS:
        n = sum('#| code-summary: "A solution' in source(cell) for cell in cells(nb))
        assert text(page(site, nb)).count('<summary>A solution') == n, nb.name

def test_words_on_an_answer_are_folded(site):
    "Below a solution the next question follows, or a fold: nobody reads the answer before thinking"
    for nb in NBS:
        inside = cells(nb)
        after = [inside[i+1] for i,cell in enumerate(inside[:-1]) if '#| code-summary: "A solution' in source(cell)]
        words = [source(cell) for cell in after if cell['cell_type'] == 'markdown']
        assert all(re.match(r'<details>|\*\*\d|#', said) for said in words), nb.name
        n = sum(said.count('<summary>What it says</summary>') for said in words)
        assert text(page(site, nb)).count('<summary>What it says') == n, nb.name

def test_imports_are_folded(site):
    "No page begins with a list of modules"
    assert sum(article(path).count('<summary>Imports') for path in all_pages(site)) > 20
    assert pages.imports_only('import a\nfrom b import (c,\n  d)') and not pages.imports_only('import a\nx = 1')

def test_arguments_as_a_table():
    f = 'def f(a, b, # two of them\n      c=1.,  # a number | a bar\n      *, d=None, **kw):\n    "Sum"'
    node, = pages.definitions(f)
    assert pages.table(f, node).splitlines()[2:] == [
        '| `a`, `b` | two of them |', r'| `c=1.0` | a number \| a bar |', '| `d=None`, `**kw` |  |']

# What is made of the code

def test_every_option_is_told(site):
    from latent_style.method import METHODS, module_of
    from latent_style.options import described
    shown = ids(site/'reference/options.html')
    for method in METHODS:
        for verb in ('train','translate'):
            for name in described(getattr(module_of(method), verb)):
                assert {f'{verb}-{name}', f'{verb}-{method}-{name}'} & shown, f'{method}: {verb}: {name}'
        for preset in module_of(method).PRESETS: assert f'<code>{preset}</code>' in text(site/'reference/options.html')

def test_every_room_has_a_place_in_the_picture(site):
    drawn = set(re.findall(r'<text x[^>]*>([\w.]+)</text>', text(site/'reference/structure.html')))
    assert structure.module_pages().keys() <= drawn
    rooms = [room for _,floors in structure.storeys() for floor in floors for room in floor]
    assert rooms == [room for floor in imports.FLOORS for room in floor]

def test_for_language_models(site):
    "A line for each page, a line for each public name"
    from latent_style.public import PUBLIC
    lines = text(site/'llms.txt').splitlines()
    base = yaml.safe_load((ROOT/'nbs/nbdev.yml').read_text(encoding='utf-8'))['website']['site-url']
    listed = [re.search(r'\]\((.*?)\)', line)[1] for line in lines if line.startswith('- [')]
    assert [link.removeprefix(base+'/') for link in listed][0] == 'index.html'
    assert all((site/link.removeprefix(base+'/')).is_file() for link in listed)
    assert len(listed) == len(NBS)+len(reference.PAGES) == len(all_pages(site))
    told = {match[1] for match in (re.match(r'- `(\w+)\(', line) for line in lines) if match}
    verbs = {'train','translate','load_run'}
    assert verbs | {'encode_folder','show_grid'} <= told <= verbs | PUBLIC.keys()

# Settings

def test_nbdev_settings_are_committed(site):
    "nbs/nbdev.yml is what settings.ini makes it"
    made = (site.parent/'nbs/nbdev.yml').read_text(encoding='utf-8')
    assert made == (ROOT/'nbs/nbdev.yml').read_text(encoding='utf-8')

# Of Quarto's schema, what we use: a type, a tuple of words, a list of one kind, or the keys of a mapping
PATH = str
ITEM = {'href': str, 'text': str, 'icon': str, 'aria-label': str}
THREAD = {'repo': str, 'repo-id': str, 'category': str, 'category-id': str, 'mapping': str, 'reactions-enabled': bool,
          'loading': ('lazy',), 'input-position': ('top','bottom'), 'theme': str, 'language': str}
QUARTO = {
    'project': {'type': ('website',), 'resources': [PATH], 'output-dir': PATH, 'render': [PATH]},
    'format': {
        'html': {'theme': {'light': [PATH], 'dark': [PATH]}, 'respect-user-color-scheme': bool, 'toc': bool,
                 'toc-depth': int, 'anchor-sections': bool, 'html-math-method': ('mathml','mathjax','katex'),
                 'code-copy': (True,False,'hover'), 'code-overflow': ('scroll','wrap'), 'code-summary': str,
                 'code-fold': (True,False,'show'), 'code-tools': {'source': bool, 'toggle': bool, 'caption': str},
                 'link-external-newwindow': bool, 'smooth-scroll': bool, 'lightbox': (True,False,'auto')},
        'commonmark': ('default',)},
    'website': {
        'title': str, 'site-url': str, 'description': str, 'repo-url': str, 'repo-branch': str, 'favicon': PATH,
        'image': PATH, 'twitter-card': bool, 'open-graph': bool, 'repo-actions': ['edit','source','issue'],
        'reader-mode': bool, 'page-navigation': bool, 'back-to-top-navigation': bool, 'bread-crumbs': bool,
        'search': {'location': ('navbar','sidebar'), 'type': ('overlay','textbox'), 'show-item-context': bool},
        'comments': ((False,), {'giscus': THREAD}),
        'navbar': {'logo': {'light': PATH, 'dark': PATH}, 'logo-alt': str, 'search': bool, 'title': str,
                   'collapse-below': ('sm','md','lg','xl','xxl'), 'left': [ITEM], 'right': [ITEM]},
        'sidebar': {'style': ('docked','floating'), 'search': bool, 'collapse-level': int, 'contents': list},
        'page-footer': {'left': str, 'center': str, 'right': str, 'border': bool}},
    'execute': {'enabled': bool},
    'metadata-files': [PATH],
}

def faults(value, schema, where=''):
    "Where a value is not what the schema asks for"
    if isinstance(schema, dict):
        if not isinstance(value, dict): yield f'{where}: a mapping is needed'
        else:
            for key,inside in value.items():
                if key in schema: yield from faults(inside, schema[key], f'{where}.{key}'.strip('.'))
                else: yield f'{where}: no key {key}'
    elif isinstance(schema, list):
        allowed = schema[0] if isinstance(schema[0], (type,dict)) else tuple(schema)
        if not isinstance(value, list): yield f'{where}: a list is needed'
        else:
            for inside in value: yield from faults(inside, allowed, where)
    elif isinstance(schema, tuple):
        kinds = [s for s in schema if isinstance(s, (dict,tuple))]
        if kinds:
            if all(list(faults(value, kind, where)) for kind in kinds): yield f'{where}: none of what it may be'
        elif value not in schema: yield f'{where}: {value!r} is none of {schema}'
    elif not isinstance(value, schema): yield f'{where}: {value!r} is no {schema.__name__}'

def quarto():
    "Every file that Quarto reads"
    first = yaml.safe_load((ROOT/'_quarto.yml').read_text(encoding='utf-8'))
    return [first, *(yaml.safe_load((ROOT/'nbs'/name).read_text(encoding='utf-8')) for name in first['metadata-files'])]

def test_quarto_knows_the_keys():
    for settings in quarto(): assert not list(faults(settings, QUARTO))
    assert list(faults({'website': {'navbar': {'serach': True}, 'comments': True}}, QUARTO)) == [
        'website.navbar: no key serach', 'website.comments: none of what it may be']

def test_quarto_finds_its_files():
    nbs,html_of = ROOT/'nbs',quarto()[0]['format']['html']
    website = quarto()[0]['website']
    own = [name for names in html_of['theme'].values() for name in names if '/' in name]
    named = [*own, website['favicon'], website['image'], *website['navbar']['logo'].values()]
    assert not [name for name in named if not (nbs/name).is_file()]

def test_comments_are_off_until_a_repository_is_named(site):
    assert quarto()[0]['website']['comments'] is False
    assert 'giscus' not in ''.join(map(text, all_pages(site)))
