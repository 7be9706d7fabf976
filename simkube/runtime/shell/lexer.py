"""From characters to words and operators. Words are parsed to their parts here, command substitutions by the parser."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from simkube.runtime.applets.printing import unescape
from simkube.runtime.shell.dialect import ASH, Dialect
from simkube.runtime.shell.syntax import (
    Arithmetic,
    Incomplete,
    NotSimulated,
    Parameter,
    Part,
    ProcessSubstitution,
    Redirection,
    Sequence,
    Substitution,
    SyntaxProblem,
    Text,
    Word,
)

MAX_SCRIPT = 256 * 1024
MAX_DEPTH = 24
OPERATORS = ("<<-", "&&", "||", ";;", "<<", ">>", "<&", ">&", "<>", ">|", "&", "|", ";", "<", ">", "(", ")")
_EXTENDED = ("&>>", "&>")
_OF_BASH = ("<<<", ";;&", ";&", "|&")
_OPERATOR_STARTS = "&|;<>()"
_SPECIAL = "@*#?-$!"
_PARAMETER_OPS = (":-", ":=", ":+", ":?", "##", "%%", "-", "=", "+", "?", "#", "%")
_CASE_OPS = ("^^", ",,", "^", ",")


@dataclass(slots=True)
class Token:
    """``kind`` is ``word``, ``op``, ``newline`` or ``end``; ``text`` the operator, or the word as written."""

    kind: str
    text: str
    word: Word | None = None


class Lexer:
    """Reads tokens off a script. ``parse_list`` parses the commands of a substitution up to its ``)``."""

    def __init__(self, source: str, dialect: Dialect = ASH) -> None:
        if len(source) > MAX_SCRIPT:
            raise NotSimulated(f"a script of more than {MAX_SCRIPT // 1024} KiB")
        self.source = source
        self.dialect = dialect
        self._operators = (*(_OF_BASH * dialect.bash), *(_EXTENDED * dialect.extended), *OPERATORS)
        self.position = 0
        self.depth = 0
        self.documents: list[tuple[Redirection, str, bool, bool]] = []
        self.parse_list: Callable[[], Sequence]
        self.subparser: Callable[[str, int, Dialect], Sequence]
        self._peeked: Token | None = None
        self.unfinished_document = False

    # -- tokens ----------------------------------------------------------------------------------------------------

    def peek(self) -> Token:
        """The next token, left where it is."""
        if self._peeked is None:
            self._peeked = self._read()
        return self._peeked

    def next(self) -> Token:
        """The next token, taken."""
        token = self.peek()
        self._peeked = None
        return token

    def _read(self) -> Token:
        self._skip_blanks()
        source, at = self.source, self.position
        if at >= len(source):
            if self.documents:
                self._read_documents()
            return Token("end", "")
        char = source[at]
        if char == "\n":
            self.position += 1
            self._read_documents()
            return Token("newline", "\n")
        if char in _OPERATOR_STARTS and not self._at_process_substitution():
            for operator in self._operators:
                if source.startswith(operator, at):
                    self.position += len(operator)
                    return Token("op", operator)
        word = self.read_word()
        return Token("word", source[at : self.position], word)

    def _skip_blanks(self) -> None:
        source, size = self.source, len(self.source)
        while self.position < size:
            char = source[self.position]
            if char in " \t\r":
                self.position += 1
            elif char == "\\" and source.startswith("\\\n", self.position):
                self.position += 2
            elif char == "#":
                end = source.find("\n", self.position)
                self.position = size if end < 0 else end
            else:
                return

    # -- words -----------------------------------------------------------------------------------------------------

    def _at_process_substitution(self) -> bool:
        return self.dialect.extended and self.source[self.position : self.position + 2] in ("<(", ">(")

    def read_word(self, *, regex: bool = False) -> Word:
        """An unquoted word, up to a blank or operator; a ``regex`` (after ``=~``) may hold parentheses and bars."""
        parts: list[Part] = []
        plain: list[str] = []
        source, nested = self.source, 0
        if regex:
            self._skip_blanks()
        while self.position < len(source):
            char = source[self.position]
            if regex and char in "()|<>":
                nested += (char == "(") - (char == ")")
                if nested >= 0:
                    plain.append(char)
                    self.position += 1
                    continue
            if char in " \t\r\n" and not (regex and nested > 0):
                break
            if char in _OPERATOR_STARTS:
                if not self._at_process_substitution():
                    break
                _flush(parts, plain, quoted=False)
                parts.append(self._process_substitution())
                continue
            if char == "[" and self.dialect.bash and not parts and is_subscripted("".join(plain)):
                self._subscript_text(plain)
                continue
            if char in "'\"\\$`":
                _flush(parts, plain, quoted=False)
                self._special(parts, plain)
            else:
                plain.append(char)
                self.position += 1
        _flush(parts, plain, quoted=False)
        return Word(parts)

    def _process_substitution(self) -> Part:
        writes = self.source[self.position] == ">"
        self.position += 2
        self._deeper()
        body = self.parse_list()
        self._peeked = None
        self.depth -= 1
        return ProcessSubstitution(body, writes)

    def _subscript_text(self, plain: list[str]) -> None:
        """``[...]`` after a name that may be assigned to, as written: the parser looks at it again."""
        source, depth, at = self.source, 0, self.position
        while at < len(source) and source[at] != "\n":
            depth += (source[at] == "[") - (source[at] == "]")
            at += 1
            if not depth:
                break
        if depth or (source[at : at + 1] != "=" and source[at : at + 2] != "+="):
            plain.append("[")
            self.position += 1
            return
        plain.append(source[self.position : at])
        self.position = at

    def _special(self, parts: list[Part], plain: list[str]) -> None:
        char = self.source[self.position]
        if char == "'":
            end = self._find("'", self.position + 1)
            parts.append(Text(self.source[self.position + 1 : end], quoted=True))
            self.position = end + 1
        elif char == '"':
            self.position += 1
            self._double_quoted(parts)
        elif char == "\\":
            following = self.source[self.position + 1 : self.position + 2]
            self.position += 2
            if following and following != "\n":
                parts.append(Text(following, quoted=True))
            elif not following:
                plain.append("\\")
        elif char == "`":
            parts.append(self._backticks(quoted=False))
        else:
            self._dollar(parts, plain, quoted=False)

    def _find(self, char: str, start: int) -> int:
        end = self.source.find(char, start)
        if end < 0:
            raise Incomplete("unterminated quoted string")
        return end

    def _double_quoted(self, parts: list[Part], closing: str = '"') -> None:
        plain: list[str] = []
        parts.append(Text("", quoted=True))
        while True:
            if self.position >= len(self.source):
                raise Incomplete("unterminated quoted string")
            char = self.source[self.position]
            if char == closing:
                self.position += 1
                break
            self._quoted_char(char, parts, plain)
        _flush(parts, plain, quoted=True)

    def _quoted_char(self, char: str, parts: list[Part], plain: list[str]) -> None:
        """One character (or expansion) between double quotes or of a here-document."""
        if char == "\\":
            following = self.source[self.position + 1 : self.position + 2]
            if following and following in '$`"\\\n':
                plain.append("" if following == "\n" else following)
                self.position += 2
            else:
                plain.append("\\")
                self.position += 1
        elif char == "`":
            _flush(parts, plain, quoted=True)
            parts.append(self._backticks(quoted=True))
        elif char == "$":
            self._dollar(parts, plain, quoted=True)
        else:
            plain.append(char)
            self.position += 1

    def _deeper(self) -> None:
        self.depth += 1
        if self.depth > MAX_DEPTH:
            raise NotSimulated(f"nesting deeper than {MAX_DEPTH} levels")

    def _backticks(self, *, quoted: bool) -> Part:
        at = self.position + 1
        text: list[str] = []
        while True:
            if at >= len(self.source):
                raise Incomplete("EOF in backquote substitution")
            char = self.source[at]
            if char == "`":
                break
            if char == "\\" and self.source[at + 1 : at + 2] in ("`", "\\", "$"):
                at += 1
                char = self.source[at]
            text.append(char)
            at += 1
        self.position = at + 1
        self._deeper()
        body = self.subparser("".join(text), self.depth, self.dialect)
        self.depth -= 1
        return Substitution(body, quoted)

    def _dollar(self, parts: list[Part], plain: list[str], *, quoted: bool) -> None:
        source, at = self.source, self.position
        following = source[at + 1 : at + 2]
        if following == "(":
            _flush(parts, plain, quoted=quoted)
            self._deeper()
            if source.startswith("((", at + 1) and self._arithmetic(parts, quoted=quoted):
                self.depth -= 1
                return
            self.position = at + 2
            body = self.parse_list()
            self._peeked = None
            parts.append(Substitution(body, quoted))
            self.depth -= 1
        elif following == "{":
            _flush(parts, plain, quoted=quoted)
            self.position = at + 2
            self._deeper()
            parts.append(self._braced(quoted=quoted))
            self.depth -= 1
        elif following.isascii() and (following.isalpha() or following == "_"):
            end = at + 2
            while end < len(source) and source[end].isascii() and (source[end].isalnum() or source[end] == "_"):
                end += 1
            _flush(parts, plain, quoted=quoted)
            parts.append(Parameter(source[at + 1 : end], "", None, quoted))
            self.position = end
        elif following and (following in _SPECIAL or following in "0123456789"):
            _flush(parts, plain, quoted=quoted)
            parts.append(Parameter(following, "", None, quoted))
            self.position = at + 2
        elif following == "'" and not quoted and self.dialect.extended:
            _flush(parts, plain, quoted=quoted)
            parts.append(self._escaped())
        elif following == '"' and not quoted and self.dialect.bash:
            self.position = at + 1
        else:
            plain.append("$")
            self.position = at + 1

    def _escaped(self) -> Part:
        """``$'...'``: with the escapes of C."""
        start = at = self.position + 2
        while at < len(self.source) and self.source[at] != "'":
            at += 2 if self.source[at] == "\\" else 1
        if at >= len(self.source):
            raise Incomplete("unterminated quoted string")
        self.position = at + 1
        text = self.source[start:at].replace("\\'", "'").replace('\\"', '"')
        return Text(unescape(text, octal_needs_zero=False)[0], quoted=True)

    def _arithmetic(self, parts: list[Part], *, quoted: bool) -> bool:
        """``$((...))``; False when it turns out to be ``$( (...) )``."""
        start = self.position
        self.position += 3
        found = self.calculation()
        if found is None:
            self.position = start
            return False
        parts.append(Arithmetic(found[0], quoted))
        return True

    def calculation(self, separator: str = "") -> list[Word] | None:
        """What stands up to ``))``, parted at ``separator``; None when it does not end so."""
        found: list[Word] = []
        inner: list[Part] = []
        plain: list[str] = []
        depth = 0
        while self.position < len(self.source):
            char = self.source[self.position]
            if char == "(":
                depth += 1
            elif char == ")":
                if depth == 0:
                    if not self.source.startswith("))", self.position):
                        return None
                    self.position += 2
                    _flush(inner, plain, quoted=True)
                    return [*found, Word(inner)]
                depth -= 1
            if char == '"':
                self.position += 1
            elif char == separator and depth == 0:
                self.position += 1
                _flush(inner, plain, quoted=True)
                found.append(Word(inner))
                inner = []
            else:
                self._quoted_char(char, inner, plain)
        raise Incomplete("missing '))'")

    def _braced(self, *, quoted: bool) -> Part:
        source = self.source
        after = source[self.position + 1 : self.position + 2]
        length = source.startswith("#", self.position) and after != "}"
        indirect = source.startswith("!", self.position) and self.dialect.bash and (after.isalpha() or after == "_")
        if length or indirect:
            self.position += 1
        part = Parameter(self._name(), "", None, quoted, indirect=indirect)
        if self.dialect.bash and source.startswith("[", self.position):
            self.position += 1
            part.subscript = self._operand(quoted=True, closing="]")
        if length and source.startswith("}", self.position):
            self.position += 1
            part.op = "#len"
            return part
        if length or not part.name:
            raise SyntaxProblem("bad substitution")
        if source.startswith("}", self.position):
            self.position += 1
            if indirect and part.subscript is not None:
                part.indirect, part.op = False, "!keys"
            return part
        if indirect and source[self.position : self.position + 2] in ("*}", "@}"):
            self.position += 2
            part.indirect, part.op = False, "!names"
            return part
        for op in _PARAMETER_OPS:
            if source.startswith(op, self.position):
                self.position += len(op)
                part.op, part.word = op, self._operand(quoted=quoted and op[-1] not in "#%")
                return part
        return self._braced_extension(part, quoted=quoted)

    def _braced_extension(self, part: Parameter, *, quoted: bool) -> Part:
        """``${x:1:2}``, ``${x/a/b}``, ``${x^^}``, ``${x@Q}``: what POSIX does not know."""
        source = self.source
        if self.position >= len(source):
            raise Incomplete("missing '}'")
        char = source[self.position]
        if char in ":/" and self.dialect.extended:
            self.position += 1
            part.op = char
            if char == "/" and source[self.position : self.position + 1] in ("/", "#", "%"):
                part.op += source[self.position]
                self.position += 1
            part.word = self._operand(quoted=quoted and char == ":", closing=char + "}")
            if source[self.position - 1] == char:
                part.more = self._operand(quoted=quoted)
            return part
        if char in "^,@" and self.dialect.bash:
            part.op = next((op for op in _CASE_OPS if source.startswith(op, self.position)), char)
            self.position += len(part.op)
            part.word = self._operand(quoted=False)
            return part
        raise SyntaxProblem("bad substitution")

    def _name(self) -> str:
        source, start = self.source, self.position
        first = source[start : start + 1]
        end = start
        if first and (first in _SPECIAL):
            end = start + 1
        else:
            while end < len(source) and source[end].isascii() and (source[end].isalnum() or source[end] == "_"):
                end += 1
        self.position = end
        return source[start:end]

    def _operand(self, *, quoted: bool, closing: str = "}") -> Word:
        """The word of ``${x:-word}``, up to the closing brace (or another of the characters that close it)."""
        parts: list[Part] = []
        plain: list[str] = []
        while True:
            if self.position >= len(self.source):
                raise Incomplete("missing '}'")
            char = self.source[self.position]
            if char in closing:
                self.position += 1
                break
            if char == '"':
                _flush(parts, plain, quoted=quoted)
                self.position += 1
                self._double_quoted(parts)
            elif quoted:
                self._quoted_char(char, parts, plain)
            elif char in "'\\$`":
                _flush(parts, plain, quoted=False)
                self._special(parts, plain)
            else:
                plain.append(char)
                self.position += 1
        _flush(parts, plain, quoted=quoted)
        return Word(parts)

    # -- here-documents --------------------------------------------------------------------------------------------

    def expect_document(self, redirection: Redirection, word: Word, *, strip: bool) -> None:
        """A ``<<`` was read: its text follows the next newline."""
        delimiter = "".join(part.text for part in word.parts if isinstance(part, Text))
        quoted = any(isinstance(part, Text) and part.quoted for part in word.parts)
        self.documents.append((redirection, delimiter, quoted, strip))

    def _read_documents(self) -> None:
        pending, self.documents = self.documents, []
        for redirection, delimiter, quoted, strip in pending:
            lines: list[str] = []
            while True:
                if self.position >= len(self.source):
                    self.unfinished_document = True
                    break
                end = self.source.find("\n", self.position)
                end = len(self.source) if end < 0 else end
                line = self.source[self.position : end]
                self.position = min(end + 1, len(self.source))
                if strip:
                    line = line.lstrip("\t")
                if line == delimiter:
                    break
                lines.append(line + "\n")
            text = "".join(lines)
            redirection.word = Word([Text(text, quoted=True)]) if quoted else self._document_word(text)

    def _document_word(self, text: str) -> Word:
        inner = Lexer(text, self.dialect)
        inner.depth = self.depth + 1
        if inner.depth > MAX_DEPTH:
            raise NotSimulated(f"nesting deeper than {MAX_DEPTH} levels")
        self.subparser_for(inner)
        parts: list[Part] = [Text("", quoted=True)]
        plain: list[str] = []
        while inner.position < len(text):
            char = text[inner.position]
            if char == '"':
                plain.append(char)
                inner.position += 1
            elif char == "\\" and text.startswith('\\"', inner.position):
                plain.append("\\")
                inner.position += 1
            else:
                inner._quoted_char(char, parts, plain)
        _flush(parts, plain, quoted=True)
        return Word(parts)

    subparser_for: Callable[[Lexer], None]


def is_subscripted(text: str) -> bool:
    """Whether a ``[`` after this text may begin the subscript of an assignment."""
    return text == "" or (text.isascii() and text.isidentifier())


def _flush(parts: list[Part], plain: list[str], *, quoted: bool) -> None:
    if plain:
        parts.append(Text("".join(plain), quoted))
        plain.clear()
