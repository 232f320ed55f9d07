"Formulas as MathML, which browsers set by themselves; MkDocs calls `on_page_content` (a hook)"
import html, re
import xml.etree.ElementTree as ET
from functools import cache

from latex2mathml.converter import convert

FORMULA = re.compile(r'<(span|div) class="arithmatex">\\([(\[])(.*?)\\[)\]]</\1>', re.S)
SPACE = 'http://www.w3.org/1998/Math/MathML'
ET.register_namespace('', SPACE)
# What the converter does not know, in words that it does
KNOWN = {
    r'\\arg\s*\\(min|max)(?![a-zA-Z])': r'\\operatorname{arg\1}',
    r'\\arg(?![a-zA-Z])': r'\\operatorname{arg}',
    r'\\bmod(?![a-zA-Z])': r'\\;\\operatorname{mod}\\;',
    r'\\(math(?:bb|cal|rm|bf))\s+([A-Za-z])': r'\\\1{\2}',
}
LIMITS = 'min', 'max', 'argmin', 'argmax'
FENCES,SIGNS,OPEN = '|‖', '−±+', '=([,≈←⋅{'

def tag(element): return element.tag.rpartition('}')[2]

def told(element, **attributes):
    element.attrib.clear()
    element.attrib.update(attributes)

def operator(mo):
    "The space around a sign as TeX has it"
    words = mo.text or ''
    if words in FENCES and 'form' not in mo.attrib and 'minsize' not in mo.attrib:
        told(mo, stretchy='false', lspace='0', rspace='0')
    elif words in FENCES and 'minsize' in mo.attrib: mo.attrib.update(lspace='0', rspace='0')
    elif words.isalpha() and len(words) > 1: told(mo, lspace='.17em', rspace='.1em', movablelimits='false')
    elif words == '^': mo.text = 'ˆ'
    elif words == '~': mo.text = '∼'
    elif words == '⏟': told(mo, stretchy='true')

def over(mover):
    "A mean is a rule over what it is of, which the style draws"
    if mover[1].text not in ('―','¯'): return
    mover.tag = f'{{{SPACE}}}mrow'
    told(mover, **{'class': 'over'})
    mover.remove(mover[1])

def below(msub):
    "What a minimum runs over stands below it"
    if tag(msub[0]) == 'mo' and msub[0].text in LIMITS: msub.tag = f'{{{SPACE}}}munder'

def prefixes(row):
    "A sign after an opening is no operation between two numbers"
    for before,sign in zip(row, row[1:]):
        if tag(sign) == 'mo' and sign.text in SIGNS and tag(before) == 'mo' and (before.text or ' ') in OPEN:
            sign.set('form', 'prefix')

def better(tree, display):
    for element in list(tree.iter()):
        kind = tag(element)
        if kind == 'mo': operator(element)
        elif kind == 'mover': over(element)
        elif kind == 'msub' and display == 'block': below(element)
        prefixes(element)
    return tree

@cache
def with_formulas(tex, display):
    "MathML of a formula, with its TeX for those who hear the page"
    if re.search(r'\\\\[a-zA-Z]', tex): raise ValueError(f'a formula with two backslashes before a word: {tex}')
    words = tex
    for old,new in KNOWN.items(): words = re.sub(old, new, words)
    tree = better(ET.fromstring(convert(words, display=display)), display)
    made = ET.tostring(tree, encoding='unicode')
    if '\\' in made: raise ValueError(f'no MathML for the formula {tex}')
    return made.replace('<math ', f'<math alttext="{html.escape(tex)}" ', 1)

def in_words(tex):
    "A formula as plain text, for those who cannot see it"
    return ''.join(ET.fromstring(with_formulas(tex, 'inline')).itertext())

def on_page_content(content, page, **kwargs):
    def new(match):
        kind,tex = match[1],html.unescape(match[3]).strip()
        try: made = with_formulas(tex, 'inline' if kind == 'span' else 'block')
        except Exception as e: raise ValueError(f'{page.meta.get("notebook", page.url)}: {e}') from e
        return made if kind == 'span' else f'<div class="formula">{made}</div>'
    return FORMULA.sub(new, content)
