"""The grammar: from tokens to the syntax tree, one complete command at a time, as shells read their input."""

from __future__ import annotations

from simkube.runtime.shell.lexer import MAX_DEPTH, Lexer, Token
from simkube.runtime.shell.syntax import (
    AndOr,
    Case,
    Compound,
    For,
    Function,
    Group,
    If,
    Incomplete,
    Node,
    NotSimulated,
    Pipeline,
    Redirection,
    Sequence,
    Simple,
    Subshell,
    SyntaxProblem,
    Text,
    While,
    Word,
)

RESERVED = frozenset(
    ["if", "then", "else", "elif", "fi", "do", "done", "case", "esac", "while", "until", "for", "{", "}", "!"]
)
_NO_COMMAND = frozenset(["then", "else", "elif", "fi", "do", "done", "esac", "}"])
_REDIRECTIONS = frozenset(["<", ">", ">>", ">|", "<>", "<&", ">&", "<<", "<<-"])
_UNKNOWN = frozenset(["[[", "function", "select", "coproc"])


class Parser:
    """Parses one script. SyntaxProblem, NotSimulated and Incomplete come out of every method."""

    def __init__(self, source: str, depth: int = 0) -> None:
        self.lexer = Lexer(source)
        self.lexer.depth = depth
        self._connect(self.lexer)

    def _connect(self, lexer: Lexer) -> None:
        lexer.parse_list = lambda: Parser._substitution(lexer)
        lexer.subparser = _subparse
        lexer.subparser_for = self._connect

    @staticmethod
    def _substitution(lexer: Lexer) -> Sequence:
        inner = Parser.__new__(Parser)
        inner.lexer = lexer
        saved, lexer._peeked = lexer._peeked, None
        body = inner._list()
        inner._expect_op(")")
        lexer._peeked = saved
        return body

    # -- entry -----------------------------------------------------------------------------------------------------

    def next_command(self) -> Sequence | None:
        """The next complete command (up to the end of its line), or None at the end of the script."""
        while self.lexer.peek().kind == "newline":
            self.lexer.next()
        if self.lexer.peek().kind == "end":
            return None
        sequence = self._line()
        token = self.lexer.peek()
        if token.kind == "newline":
            self.lexer.next()
        elif token.kind != "end":
            raise _unexpected(token)
        return sequence

    def whole(self) -> Sequence:
        """Every command of the script."""
        sequence = self._list()
        if self.lexer.peek().kind != "end":
            raise _unexpected(self.lexer.peek())
        return sequence

    # -- lists -----------------------------------------------------------------------------------------------------

    def _line(self) -> Sequence:
        sequence = Sequence()
        while True:
            node = self._and_or()
            token = self.lexer.peek()
            background = token.kind == "op" and token.text == "&"
            sequence.items.append((node, background))
            if token.kind != "op" or token.text not in (";", "&"):
                return sequence
            self.lexer.next()
            following = self.lexer.peek()
            if following.kind in ("newline", "end"):
                return sequence

    def _list(self) -> Sequence:
        """Commands up to a closing keyword, ``)``, ``;;`` or the end."""
        self.lexer._deeper()
        sequence = Sequence()
        while True:
            self._newlines()
            token = self.lexer.peek()
            if token.kind == "end" or (token.kind == "op" and token.text in (")", ";;")) or self._closes(token):
                break
            node = self._and_or()
            token = self.lexer.peek()
            background = token.kind == "op" and token.text == "&"
            sequence.items.append((node, background))
            if token.kind == "op" and token.text in (";", "&"):
                self.lexer.next()
            elif token.kind != "newline":
                break
        self.lexer.depth -= 1
        return sequence

    @staticmethod
    def _closes(token: Token) -> bool:
        return token.word is not None and token.word.literal() in _NO_COMMAND

    def _body(self) -> Sequence:
        """A list that must not be empty."""
        sequence = self._list()
        if not sequence.items:
            raise _unexpected(self.lexer.peek())
        return sequence

    def _newlines(self) -> None:
        while self.lexer.peek().kind == "newline":
            self.lexer.next()

    def _and_or(self) -> Node:
        first = self._pipeline()
        rest: list[tuple[str, Node]] = []
        while (token := self.lexer.peek()).kind == "op" and token.text in ("&&", "||"):
            self.lexer.next()
            self._newlines()
            rest.append((token.text, self._pipeline()))
        return AndOr(first, rest) if rest else first

    def _pipeline(self) -> Node:
        negated = False
        while self._keyword() == "!":
            self.lexer.next()
            negated = not negated
        commands = [self._command()]
        while (token := self.lexer.peek()).kind == "op" and token.text == "|":
            self.lexer.next()
            self._newlines()
            commands.append(self._command())
        return Pipeline(commands, negated) if negated or len(commands) > 1 else commands[0]

    def _keyword(self) -> str | None:
        token = self.lexer.peek()
        literal = token.word.literal() if token.word is not None else None
        return literal if literal in RESERVED else None

    # -- commands --------------------------------------------------------------------------------------------------

    def _command(self) -> Node:
        token = self.lexer.peek()
        if token.kind == "op" and token.text == "(":
            self.lexer.next()
            body = self._body()
            self._expect_op(")")
            return self._redirected(Subshell([], body))
        if token.word is not None and token.word.literal() in _UNKNOWN:
            raise NotSimulated(token.text)
        keyword = self._keyword()
        if keyword is None:
            return self._simple()
        if keyword in _NO_COMMAND:
            raise _unexpected(token)
        self.lexer.next()
        if keyword == "{":
            group = Group([], self._body())
            self._expect_word("}")
            return self._redirected(group)
        if keyword == "if":
            return self._redirected(self._if())
        if keyword in ("while", "until"):
            condition = self._body()
            return self._redirected(While([], condition, self._do(), keyword == "until"))
        if keyword == "for":
            return self._redirected(self._for())
        return self._redirected(self._case())

    def _if(self) -> If:
        branches = []
        otherwise = None
        while True:
            condition = self._body()
            self._expect_word("then")
            branches.append((condition, self._body()))
            token = self.lexer.next()
            word = token.word.literal() if token.word is not None else None
            if word == "elif":
                continue
            if word == "else":
                otherwise = self._body()
                token = self.lexer.next()
                word = token.word.literal() if token.word is not None else None
            if word != "fi":
                raise _unexpected(token, "fi")
            return If([], branches, otherwise)

    def _do(self) -> Sequence:
        self._expect_word("do")
        body = self._body()
        self._expect_word("done")
        return body

    def _for(self) -> For:
        token = self.lexer.next()
        name = token.word.literal() if token.word is not None else None
        if name is None or not is_name(name):
            if token.kind == "op" and token.text == "(":
                raise NotSimulated("for ((...))")
            raise (
                SyntaxProblem("bad for loop variable") if token.kind != "end" else Incomplete("end of file unexpected")
            )
        self._newlines()
        words: list[Word] | None = None
        token = self.lexer.peek()
        if token.word is not None and token.word.literal() == "in":
            self.lexer.next()
            words = []
            while (token := self.lexer.peek()).word is not None:
                words.append(token.word)
                self.lexer.next()
        token = self.lexer.peek()
        if token.kind == "op" and token.text == ";":
            self.lexer.next()
        self._newlines()
        return For([], name, words, self._do())

    def _case(self) -> Case:
        token = self.lexer.next()
        if token.word is None:
            raise _unexpected(token)
        subject = token.word
        self._newlines()
        self._expect_word("in")
        items: list[tuple[list[Word], Sequence]] = []
        self._newlines()
        while self._keyword() != "esac":
            items.append(self._case_item())
            self._newlines()
        self.lexer.next()
        return Case([], subject, items)

    def _case_item(self) -> tuple[list[Word], Sequence]:
        token = self.lexer.next()
        if token.kind == "op" and token.text == "(":
            token = self.lexer.next()
        patterns = []
        while True:
            if token.word is None:
                raise _unexpected(token)
            patterns.append(token.word)
            token = self.lexer.next()
            if token.kind == "op" and token.text == "|":
                token = self.lexer.next()
                continue
            if token.kind != "op" or token.text != ")":
                raise _unexpected(token, ")")
            break
        body = self._list()
        token = self.lexer.peek()
        if token.kind == "op" and token.text == ";;":
            self.lexer.next()
        elif self._keyword() != "esac":
            raise _unexpected(token, ";;")
        return patterns, body

    def _redirected(self, node: Node) -> Node:
        assert isinstance(node, Compound)
        while (redirection := self._redirection()) is not None:
            node.redirections.append(redirection)
        return node

    def _simple(self) -> Node:
        command = Simple([], [], [])
        while True:
            redirection = self._redirection()
            if redirection is not None:
                command.redirections.append(redirection)
                continue
            token = self.lexer.peek()
            if token.word is None:
                if token.kind == "op" and token.text == "(" and len(command.words) == 1 and not command.assignments:
                    return self._function(command)
                break
            self.lexer.next()
            assignment = None if command.words else _assignment(token.word)
            if assignment is not None:
                command.assignments.append(assignment)
            else:
                command.words.append(token.word)
        if not (command.words or command.assignments or command.redirections):
            raise _unexpected(self.lexer.peek())
        return command

    def _function(self, command: Simple) -> Node:
        name = command.words[0].literal()
        self.lexer.next()
        self._expect_op(")")
        if name is None or not is_name(name.replace("-", "_").replace(".", "_")):
            raise SyntaxProblem("bad function name")
        self._newlines()
        self.lexer._deeper()
        body = self._command()
        self.lexer.depth -= 1
        return Function(name, body)

    def _redirection(self) -> Redirection | None:
        token = self.lexer.peek()
        fd = None
        if token.word is not None:
            literal = token.word.literal()
            at = self.lexer.position
            if (
                literal is None
                or not literal.isdecimal()
                or len(literal) > 2
                or self.lexer.source[at : at + 1] not in ("<", ">")
            ):
                return None
            self.lexer.next()
            fd = int(literal)
            token = self.lexer.peek()
        if token.kind != "op" or token.text not in _REDIRECTIONS:
            return None
        self.lexer.next()
        operator = token.text
        target = self.lexer.next()
        if target.word is None:
            raise _unexpected(target)
        if fd is None:
            fd = 0 if operator.startswith("<") else 1
        if operator in ("<<", "<<-"):
            redirection = Redirection(fd, "<<", Word([Text("", quoted=True)]))
            self.lexer.expect_document(redirection, target.word, strip=operator == "<<-")
            return redirection
        return Redirection(fd, operator, target.word)

    def _expect_op(self, text: str) -> None:
        token = self.lexer.next()
        if token.kind != "op" or token.text != text:
            raise _unexpected(token, text)

    def _expect_word(self, text: str) -> None:
        token = self.lexer.next()
        if token.word is None or token.word.literal() != text:
            raise _unexpected(token, text)


def _subparse(source: str, depth: int) -> Sequence:
    if depth > MAX_DEPTH:
        raise NotSimulated(f"nesting deeper than {MAX_DEPTH} levels")
    return Parser(source, depth).whole()


def is_name(text: str) -> bool:
    """Whether ``text`` can name a variable."""
    return text.isascii() and text.isidentifier()


def _assignment(word: Word) -> tuple[str, Word] | None:
    first = word.parts[0] if word.parts else None
    if not isinstance(first, Text) or first.quoted:
        return None
    name, equals, rest = first.text.partition("=")
    if not equals or not is_name(name):
        return None
    return name, Word([*([Text(rest, quoted=False)] if rest else []), *word.parts[1:]])


def _unexpected(token: Token, expected: str = "") -> SyntaxProblem:
    tail = f' (expecting "{expected}")' if expected else ""
    if token.kind == "end":
        return Incomplete(f"unexpected end of file{tail}")
    name = "newline" if token.kind == "newline" else f'"{token.text[:40]}"'
    return SyntaxProblem(f"unexpected {name}{tail}")
