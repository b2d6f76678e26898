"""A page with one of its forms filled in again: what was typed stands in the fields, what is wrong beside its field.

The page's HTML is our own and whole; it is parsed by the standard library, and only the tags concerned are rewritten
(as FormEncode's htmlfill does). Passwords and files are never filled in.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from html import escape
from html.parser import HTMLParser

CSRF, VERSION, PAGE = "csrf", "version", "form_page"
OURS = frozenset({CSRF, VERSION, PAGE})
"""Hidden fields that don't tell one form from another; the last says on which page the form stood."""
TICKED = ("checkbox", "radio")
NEVER = ("hidden", "password", "file")
Attributes = dict[str, str | None]


@dataclass(frozen=True)
class Typed:
    """A form that was sent and not accepted: where to, what stood in it, what is wrong, and with which field."""

    action: str
    sent: Mapping[str, Sequence[str]]
    faults: Sequence[tuple[str, str]]
    """What is wrong: sentences with the language of each."""
    field: str
    """A field by its name; the third of those of one name is ``name#2``."""
    page: str
    """The page on which the form stands, with its query."""


@dataclass
class Control:
    """A field of a form: its start tag, where it lies in the page, and for a textarea where its content ends."""

    tag: str
    attributes: Attributes
    begins: int
    ends: int
    before: int
    """Where its label begins: a message about it stands before that."""
    closes: int = 0
    select: str = ""
    """Of an option: the name of its select, and whether it has a value of its own in its text."""


@dataclass
class Form:
    """A form of a page, and the closed details that it stands in."""

    action: str
    ends: int
    controls: list[Control] = field(default_factory=list)
    closed: list[tuple[int, int]] = field(default_factory=list)

    def hidden(self) -> dict[str, str]:
        """What its hidden fields say, without those that every form has."""
        return {
            str(each.attributes["name"]): each.attributes.get("value") or ""
            for each in self.controls
            if each.attributes.get("type") == "hidden" and each.attributes.get("name") not in OURS
        }


def filled(html: str, typed: Typed) -> str | None:
    """Return the page with the form filled in again and the faults told; None where it has no such form."""
    parsed = _Forms(html)
    form = _the_one(parsed.forms, typed)
    if form is None:
        return None
    named = _named(form, typed.field)
    told = "".join(f'<span lang="{language}">{escape(text)}</span>' for text, language in typed.faults)
    message = f'<p class="fault" id="fault" role="alert">{told}</p>'
    kept = f'<input type="hidden" name="{PAGE}" value="{escape(typed.page)}">'
    edits = [(form.ends, form.ends, kept + ("" if named else message))]
    if named:
        edits.append((named.before, named.before, message))
    edits += [(end - 1, end - 1, " open") for _, end in form.closed]
    values = {name: list(sent) for name, sent in typed.sent.items()}
    focus = named or next((each for each in form.controls if _typed_in(each)), None)
    for each in form.controls:
        edits += _edits(html, each, values, focused=each is focus, wrong=each is named)
    for begin, end, text in sorted(edits, reverse=True):
        html = html[:begin] + text + html[end:]
    return html


def _the_one(forms: Sequence[Form], typed: Typed) -> Form | None:
    """The form that goes to this address and says the same in its hidden fields."""
    for form in forms:
        hidden = form.hidden()
        if form.action.partition("?")[0] == typed.action and all(
            value in typed.sent.get(name, ()) for name, value in hidden.items()
        ):
            return form
    return None


def _named(form: Form, field: str) -> Control | None:
    """The field of this name that is wrong, None where the form has none."""
    name, _, place = field.partition("#")
    found = [each for each in form.controls if each.attributes.get("name") == name != ""]
    return found[int(place or 0)] if len(found) > int(place or 0) else None


def _typed_in(control: Control) -> bool:
    return control.tag != "option" and control.attributes.get("type") not in ("hidden", *TICKED)


def _edits(
    html: str, control: Control, values: dict[str, list[str]], *, focused: bool, wrong: bool
) -> list[tuple[int, int, str]]:
    """What to rewrite of a field: its tag with the value that was sent, or the text within it."""
    attributes, name = dict(control.attributes), str(control.attributes.get("name") or control.select)
    kind, sent = attributes.get("type") or "text", values.get(name, [])
    edits = []
    if control.tag == "textarea" and sent:
        edits.append((control.ends, control.closes, "\n" + escape(sent[0])))
    elif control.tag == "option" and sent:
        own = attributes.get("value")
        _mark(attributes, "selected", on=(html[control.ends : control.closes].strip() if own is None else own) in sent)
    elif control.tag == "input" and kind in TICKED:
        _mark(attributes, "checked", on=(attributes.get("value") or "on") in sent)
    elif control.tag == "input" and kind not in NEVER and sent:
        attributes["value"] = sent.pop(0)
    if wrong:
        said = f"{attributes.get('aria-describedby') or ''} fault".strip()
        attributes |= {"aria-invalid": "true", "aria-describedby": said}
    _mark(attributes, "autofocus", on=focused)
    if attributes != control.attributes:
        edits.append((control.begins, control.ends, _tag(control.tag, attributes)))
    return edits


def _mark(attributes: Attributes, name: str, *, on: bool) -> None:
    attributes.pop(name, None)
    if on:
        attributes[name] = None


def _tag(name: str, attributes: Attributes) -> str:
    told = "".join(f" {key}" if value is None else f' {key}="{escape(value)}"' for key, value in attributes.items())
    return f"<{name}{told}>"


class _Forms(HTMLParser):
    """Finds the forms of a page that are sent, their fields, and the details and labels around these."""

    def __init__(self, html: str) -> None:
        super().__init__(convert_charrefs=False)
        self.forms: list[Form] = []
        self._lines = [0]
        for line in html.split("\n"):
            self._lines.append(self._lines[-1] + len(line) + 1)
        self._form: Form | None = None
        self._details: list[tuple[int, int] | None] = []
        self._label: int | None = None
        self._select = ""
        self._open: Control | None = None
        self.feed(html)
        self.close()

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        attributes, begins = dict(attrs), self._at()
        ends = begins + len(self.get_starttag_text() or "")
        if tag == "details":
            self._details.append(None if "open" in attributes else (begins, ends))
        elif tag == "label":
            self._label = begins
        elif tag == "form" and attributes.get("method") == "post":
            self._form = Form(attributes.get("action") or "", ends, closed=[each for each in self._details if each])
            self.forms.append(self._form)
        elif tag in ("input", "textarea", "select", "option") and self._form is not None:
            before = begins if self._label is None else self._label
            self._select = str(attributes.get("name") or "") if tag == "select" else self._select
            control = Control(tag, attributes, begins, ends, before, select=self._select if tag == "option" else "")
            self._form.controls.append(control)
            self._form.closed += [each for each in self._details if each and each not in self._form.closed]
            self._open = control if tag in ("textarea", "option") else self._open

    def handle_endtag(self, tag: str) -> None:
        if tag == "details" and self._details:
            self._details.pop()
        elif tag == "label":
            self._label = None
        elif tag == "form":
            self._form = None
        elif tag in ("textarea", "option") and self._open is not None and self._open.tag == tag:
            self._open.closes, self._open = self._at(), None

    def _at(self) -> int:
        line, offset = self.getpos()
        return self._lines[line - 1] + offset
