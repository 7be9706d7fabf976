"""The grammar: from tokens to the syntax tree, one complete command at a time, as shells read their input."""

from __future__ import annotations

import functools
import re
from collections.abc import Iterator

from simkube.runtime.shell.dialect import ASH, Dialect
from simkube.runtime.shell.lexer import MAX_DEPTH, Lexer, Token
from simkube.runtime.shell.syntax import (
    AndOr,
    Assignment,
    Calculation,
    Case,
    Compound,
    Conditional,
    CountingFor,
    For,
    Function,
    Group,
    If,
    Incomplete,
    Node,
    NotSimulated,
    Pipeline,
    Redirection,
    Select,
    Sequence,
    Simple,
    Subshell,
    SyntaxProblem,
    Test,
    Text,
    While,
    Word,
)

RESERVED = frozenset(
    ["if", "then", "else", "elif", "fi", "do", "done", "case", "esac", "while", "until", "for", "{", "}", "!"]
)
_NO_COMMAND = frozenset(["then", "else", "elif", "fi", "do", "done", "esac", "}"])
_REDIRECTIONS = frozenset(["<", ">", ">>", ">|", "<>", "<&", ">&", "<<", "<<-", "<<<", "&>", "&>>"])
LONGEST_KEPT = 8 * 1024
_DECLARING = frozenset(["declare", "typeset", "local", "export", "readonly"])
_ENDS = frozenset([";;", ";&", ";;&"])


_ASSIGNED = re.compile(r"(?P<name>[A-Za-z_]\w*)(?P<subscript>\[.*?\](?=\+?=))?(?P<plus>\+)?=", re.ASCII | re.DOTALL)
_ELEMENT = re.compile(r"\[(.+?\])=", re.ASCII | re.DOTALL)


class Parser:
    """Parses one script. SyntaxProblem, NotSimulated and Incomplete come out of every method."""

    def __init__(self, source: str, depth: int = 0, dialect: Dialect = ASH) -> None:
        self.lexer = Lexer(source, dialect)
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
            if token.kind == "end" or (token.kind == "op" and token.text in (")", *_ENDS)) or self._closes(token):
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
        negated = timed = False
        while (keyword := self._keyword()) == "!" or (self.lexer.dialect.bash and self._literal() == "time"):
            self.lexer.next()
            negated, timed = negated != (keyword == "!"), timed or keyword != "!"
        commands = [self._command()]
        while (token := self.lexer.peek()).kind == "op" and token.text in ("|", "|&"):
            self.lexer.next()
            self._newlines()
            if token.text == "|&":
                commands[-1] = Group([Redirection(2, ">&", Word([Text("1", quoted=False)]))], _alone(commands[-1]))
            commands.append(self._command())
        return Pipeline(commands, negated, timed) if negated or timed or len(commands) > 1 else commands[0]

    def _literal(self) -> str | None:
        token = self.lexer.peek()
        return token.word.literal() if token.word is not None else None

    def _keyword(self) -> str | None:
        literal = self._literal()
        if literal in ("[[", "function", "select", "coproc"):
            dialect = self.lexer.dialect
            return literal if dialect.bash or (dialect.extended and literal in ("[[", "function")) else None
        return literal if literal in RESERVED else None

    # -- commands --------------------------------------------------------------------------------------------------

    def _command(self) -> Node:
        token = self.lexer.peek()
        if token.kind == "op" and token.text == "(":
            self.lexer.next()
            calculation = self._calculation()
            if calculation is not None:
                return self._redirected(calculation)
            body = self._body()
            self._expect_op(")")
            return self._redirected(Subshell([], body))
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
        if keyword in ("for", "select"):
            return self._redirected(self._for(choosing=keyword == "select"))
        return self._extension(keyword) if keyword != "case" else self._redirected(self._case())

    def _extension(self, keyword: str) -> Node:
        """What only ash and bash know."""
        if keyword == "[[":
            test = self._any_test()
            self._expect_word("]]")
            return self._redirected(Conditional([], test))
        if keyword != "function":
            raise NotSimulated(keyword)
        name = self.lexer.next().word
        token = self.lexer.peek()
        if token.kind == "op" and token.text == "(":
            self.lexer.next()
            self._expect_op(")")
        return self._function_body(name)

    def _calculation(self) -> Calculation | None:
        """``((...))``, of which the first parenthesis has been read; None when it is a subshell in a subshell."""
        lexer = self.lexer
        start = lexer.position
        if not (lexer.dialect.bash and lexer.source.startswith("(", start)):
            return None
        lexer.position += 1
        found = lexer.calculation()
        if found is None:
            lexer.position = start
            return None
        return Calculation([], found[0])

    # -- [[ ]] -----------------------------------------------------------------------------------------------------

    def _any_test(self) -> Test:
        self.lexer._deeper()
        tests = [self._all_tests()]
        while self._took("||"):
            tests.append(self._all_tests())
        self.lexer.depth -= 1
        return Test("||", [], tests) if len(tests) > 1 else tests[0]

    def _all_tests(self) -> Test:
        tests = [self._test()]
        while self._took("&&"):
            tests.append(self._test())
        return Test("&&", [], tests) if len(tests) > 1 else tests[0]

    def _took(self, operator: str) -> bool:
        self._newlines()
        token = self.lexer.peek()
        if token.kind == "op" and token.text == operator:
            self.lexer.next()
            self._newlines()
            return True
        return False

    def _test(self) -> Test:
        self._newlines()
        if self._literal() == "!":
            self.lexer.next()
            self.lexer._deeper()
            test = Test("!", [], [self._test()])
            self.lexer.depth -= 1
            return test
        if self._took("("):
            test = self._any_test()
            self._expect_op(")")
            return test
        first = self.lexer.next()
        if first.word is None or first.word.literal() == "]]":
            raise _unexpected(first)
        literal = first.word.literal() or ""
        if len(literal) == 2 and literal[0] == "-" and self._literal() != "]]" and self.lexer.peek().word is not None:
            operand = self.lexer.next().word
            assert operand is not None
            return Test(literal, [operand])
        token = self.lexer.peek()
        operator = token.text if token.kind == "op" and token.text in ("<", ">") else self._literal() or ""
        if operator in ("=~", "=", "==", "!=", "<", ">") or (operator[:1] == "-" and len(operator) == 3):
            self.lexer.next()
            second = self.lexer.read_word(regex=True) if operator == "=~" else self.lexer.next().word
            if second is None or not second.parts:
                raise _unexpected(self.lexer.peek())
            return Test(operator, [first.word, second])
        return Test("word", [first.word])

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

    def _counting_for(self) -> CountingFor:
        self.lexer.position += 1
        found = self.lexer.calculation(";") or []
        if len(found) != 3:
            raise SyntaxProblem('unexpected "(("')
        first, test, step = found
        if self._took(";"):
            pass
        self._newlines()
        if self._keyword() == "{":
            self.lexer.next()
            body = self._body()
            self._expect_word("}")
            return CountingFor([], first, test, step, body)
        return CountingFor([], first, test, step, self._do())

    def _for(self, *, choosing: bool) -> For | Select | CountingFor:
        token = self.lexer.next()
        name = token.word.literal() if token.word is not None else None
        if name is None or not is_name(name):
            double = self.lexer.source.startswith("(", self.lexer.position)
            if token.kind == "op" and token.text == "(" and double and self.lexer.dialect.bash:
                return self._counting_for()
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
        return Select([], name, words, self._do()) if choosing else For([], name, words, self._do())

    def _case(self) -> Case:
        token = self.lexer.next()
        if token.word is None:
            raise _unexpected(token)
        subject = token.word
        self._newlines()
        self._expect_word("in")
        items: list[tuple[list[Word], Sequence, str]] = []
        self._newlines()
        while self._keyword() != "esac":
            items.append(self._case_item())
            self._newlines()
        self.lexer.next()
        return Case([], subject, items)

    def _case_item(self) -> tuple[list[Word], Sequence, str]:
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
        if token.kind == "op" and token.text in _ENDS:
            self.lexer.next()
            return patterns, body, token.text
        if self._keyword() != "esac":
            raise _unexpected(token, ";;")
        return patterns, body, ";;"

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
            declaring = bool(command.words) and command.words[0].literal() in _DECLARING
            assignment = self._assignment(token.word) if declaring or not command.words else None
            if assignment is None or (declaring and assignment.items is None):
                token.word.assigned = assignment is not None
                command.words.append(token.word)
            elif declaring:
                command.words.append(Word([Text(assignment.name, quoted=False)]))
                command.arrays.append(assignment)
            else:
                command.assignments.append(assignment)
        if not (command.words or command.assignments or command.redirections):
            raise _unexpected(self.lexer.peek())
        return command

    def _assignment(self, word: Word) -> Assignment | None:
        """``name=value``, ``name+=value``, ``name[subscript]=value``, ``name=(...)``; None for any other word."""
        first = word.parts[0] if word.parts else None
        if not isinstance(first, Text) or first.quoted:
            return None
        dialect = self.lexer.dialect
        match = _ASSIGNED.match(first.text)
        if match is None or (not dialect.bash and (match["subscript"] or match["plus"])):
            return None
        rest = first.text[match.end() :]
        found = Assignment(match["name"], Word([*([Text(rest, quoted=False)] if rest else []), *word.parts[1:]]))
        found.append = bool(match["plus"])
        if match["subscript"]:
            found.subscript = self._subscript(match["subscript"][1:])
        source, at = self.lexer.source, self.lexer.position
        if dialect.bash and not found.value.parts and source.startswith("(", at) and source[at - 1] == "=":
            self.lexer.next()
            found.items = self._items()
        return found

    def _items(self) -> list[tuple[Word | None, Word]]:
        """The elements of ``(...)`` after an assignment."""
        items: list[tuple[Word | None, Word]] = []
        while True:
            self._newlines()
            token = self.lexer.next()
            if token.word is None:
                if token.kind != "op" or token.text != ")":
                    raise _unexpected(token, ")")
                return items
            first = token.word.parts[0] if token.word.parts else None
            match = _ELEMENT.match(first.text) if isinstance(first, Text) and not first.quoted else None
            if match is None:
                items.append((None, token.word))
                continue
            assert isinstance(first, Text)
            rest = first.text[match.end() :]
            value = Word([*([Text(rest, quoted=False)] if rest else []), *token.word.parts[1:]])
            items.append((self._subscript(match[1]), value))

    def _subscript(self, text: str) -> Word:
        inner = Lexer(text, self.lexer.dialect)
        inner.depth = self.lexer.depth
        self._connect(inner)
        return inner._operand(quoted=False, closing="]")

    def _function(self, command: Simple) -> Node:
        self.lexer.next()
        self._expect_op(")")
        return self._function_body(command.words[0])

    def _function_body(self, word: Word | None) -> Node:
        name = word.literal() if word is not None else None
        if name is None or not is_name(name.replace("-", "_").replace(".", "_").replace(":", "_")):
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
        if operator in ("&>", "&>>") or (operator == ">&" and self._names_file(target.word)):
            return Redirection(1, "&>>" if operator == "&>>" else "&>", target.word)
        if operator in ("<<", "<<-"):
            redirection = Redirection(fd, "<<", Word([Text("", quoted=True)]))
            self.lexer.expect_document(redirection, target.word, strip=operator == "<<-")
            return redirection
        return Redirection(fd, operator, target.word)

    def _names_file(self, word: Word) -> bool:
        literal = word.literal()
        return self.lexer.dialect.extended and literal is not None and literal != "-" and not literal.isdecimal()

    def _expect_op(self, text: str) -> None:
        token = self.lexer.next()
        if token.kind != "op" or token.text != text:
            raise _unexpected(token, text)

    def _expect_word(self, text: str) -> None:
        token = self.lexer.next()
        if token.word is None or token.word.literal() != text:
            raise _unexpected(token, text)


def commands(source: str, depth: int, dialect: Dialect) -> Iterator[tuple[Sequence, int]]:
    """The commands of a script one by one, and where each ends: what comes before a mistake is still run.

    Scripts that are run again and again (probes, entry points) are read once.
    """
    if len(source) <= LONGEST_KEPT:
        try:
            kept = _kept(source, depth, dialect)
        except (SyntaxProblem, NotSimulated):
            pass
        else:
            yield from kept
            return
    parser = Parser(source, depth, dialect)
    while (command := parser.next_command()) is not None:
        yield command, parser.lexer.position


@functools.lru_cache(maxsize=256)
def _kept(source: str, depth: int, dialect: Dialect) -> tuple[tuple[Sequence, int], ...]:
    parser = Parser(source, depth, dialect)
    found: list[tuple[Sequence, int]] = []
    while (command := parser.next_command()) is not None:
        found.append((command, parser.lexer.position))
    return tuple(found)


def _subparse(source: str, depth: int, dialect: Dialect) -> Sequence:
    if depth > MAX_DEPTH:
        raise NotSimulated(f"nesting deeper than {MAX_DEPTH} levels")
    return Parser(source, depth, dialect).whole()


def _alone(node: Node) -> Sequence:
    return Sequence([(node, False)])


def is_name(text: str) -> bool:
    """Whether ``text`` can name a variable."""
    return text.isascii() and text.isidentifier()


def _unexpected(token: Token, expected: str = "") -> SyntaxProblem:
    tail = f' (expecting "{expected}")' if expected else ""
    if token.kind == "end":
        return Incomplete(f"unexpected end of file{tail}")
    name = "newline" if token.kind == "newline" else f'"{token.text[:40]}"'
    return SyntaxProblem(f"unexpected {name}{tail}")
