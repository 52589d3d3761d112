"""The state of one check of a card: path, counters, names, and the errors for what Feishu refuses."""

from collections.abc import Callable, Iterator, Mapping
from collections.abc import Set as AbstractSet
from contextlib import contextmanager

from notifier.sandbox.error_codes import JsonObject
from notifier.sandbox.settings import SandboxSettings

BAD_JSON, BAD_TAG, BAD_PERSON, OVER_LIMIT = 200621, 200861, 100290, 11310
BAD_IMAGE, BAD_CHART, BAD_ROWS, BAD_ROW_KEY, EMPTY_NAME, DUPLICATE_ID = (
    200570,
    200550,
    200914,
    200915,
    200530,
    300301,
)
NOT_UPDATE_MULTI, NO_SUBMIT_BUTTON, UNKNOWN_CARD, NO_TEMPLATE = 300302, 300123, 10002, 200380
MAX_ELEMENTS, MAX_LEVELS = 200, 5


class CardRefusedError(Exception):
    """Feishu would refuse the card. err_code: the code within 230099. err_path: the place, in Feishu's notation."""

    def __init__(self, err_code: int, err_msg: str, *, err_path: str = "ROOT", value: object = "") -> None:
        self.err_code = err_code
        self.err_msg = err_msg
        self.err_path = err_path
        self.value = value
        super().__init__(f"{err_code} at {err_path}: {err_msg}")


class CardChecker:
    """One check of one card.

    components: the check for each tag that is allowed in `elements`. known_ids: ids that a card can mention.
    known_images: keys of images that a card can show.
    colours, text_sizes: names that the card's own config defines. form_names: names of interactive components and
    forms, which must be unique.
    """

    def __init__(
        self,
        components: Mapping[str, "Check"],
        *,
        settings: SandboxSettings,
        known_ids: frozenset[str],
        known_images: AbstractSet[str],
    ) -> None:
        self.components = components
        self.settings = settings
        self.known_ids = known_ids
        self.known_images = known_images
        self.colours: set[str] = set()
        self.text_sizes: set[str] = set()
        self.element_ids: set[str] = set()
        self.form_names: set[str] = set()
        self.element_count = 0
        self.table_count = 0
        self.containers: list[str] = []
        self.submit_buttons = 0
        self._path = ["ROOT"]

    @property
    def in_form(self) -> bool:
        """Whether the current place is inside a form."""
        return "form" in self.containers

    @contextmanager
    def at_path(self, segment: str) -> Iterator[None]:
        """Adds a segment to the path of errors while the block runs."""
        self._path.append(segment)
        yield
        self._path.pop()

    @contextmanager
    def container(self, tag: str) -> Iterator[None]:
        """Enters a container. Raises for too many levels and for a form that is not at the root."""
        if tag == "form" and self.containers:
            raise self.refuse(BAD_JSON, "form can only be placed at the root of the card", tag)
        if len(self.containers) >= MAX_LEVELS:
            raise self.refuse(OVER_LIMIT, f"containers are nested more than {MAX_LEVELS} levels deep", tag)
        self.containers.append(tag)
        yield
        self.containers.pop()

    def refuse(self, err_code: int, err_msg: str, value: object = "") -> CardRefusedError:
        """The error for the current path. The caller raises it."""
        return CardRefusedError(err_code, err_msg, err_path=" -> ".join(self._path), value=value)

    def invalid(self, reason: str, value: object) -> CardRefusedError:
        """The error for invalid card JSON at the current path. The caller raises it."""
        return self.refuse(BAD_JSON, f"parse card json err, {reason}", value)

    def count_elements(self, count: int = 1) -> None:
        """Counts components and texts. Raises CardRefusedError above `MAX_ELEMENTS`."""
        self.element_count += count
        if self.element_count > MAX_ELEMENTS:
            raise self.refuse(OVER_LIMIT, f"element exceeds the limit, {MAX_ELEMENTS} at most")

    def count_tables(self, count: int) -> None:
        """Counts tables. Raises CardRefusedError above `tables_per_card` of the settings."""
        self.table_count += count
        if self.table_count > self.settings.tables_per_card:
            raise self.refuse(OVER_LIMIT, "card table number over limit", self.table_count)

    def register_name(self, name: str) -> None:
        """Raises CardRefusedError for a name that is already used."""
        if name in self.form_names:
            raise self.refuse(BAD_JSON, "parse card json err, name is not unique", name)
        self.form_names.add(name)

    def check_person(self, person_id: str) -> None:
        """Raises CardRefusedError for an unknown person id."""
        if person_id not in self.known_ids:
            raise self.refuse(BAD_PERSON, "invalid user id", person_id)


Check = Callable[[CardChecker, object], None]


def as_object(checker: CardChecker, value: object) -> JsonObject:
    """The value as an object. Raises CardRefusedError."""
    if not isinstance(value, dict):
        raise checker.invalid("should be an object", value)
    return value


def as_text(checker: CardChecker, value: object) -> str:
    """The value as a string. Raises CardRefusedError."""
    if not isinstance(value, str):
        raise checker.invalid("should be a string", value)
    return value


def as_list(checker: CardChecker, value: object) -> list[object]:
    """The value as a list. Raises CardRefusedError."""
    if not isinstance(value, list):
        raise checker.invalid("should be an array", value)
    return value
