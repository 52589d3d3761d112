"""Routes for faults, connections, the clock, reset and snapshots."""

from notifier.sandbox.control.page_api import MAX_OTHER_CONNECTIONS, ControlApi
from notifier.sandbox.control.routes import ControlRoute
from notifier.sandbox.control.snapshots_api import MAX_NAME, SnapshotApi
from notifier.sandbox.control.table import schemas as s
from notifier.sandbox.control.table.entries import FAULTS, TIME, delete_route, get_route, post_route
from notifier.sandbox.faults.catalogue import FAULT_TYPES, MAX_CLOCK_JUMP_SECONDS


def fault_routes(control: ControlApi) -> list[ControlRoute]:
    """Faults, and interruptions of long connections."""
    listed = s.struct({"running_faults": s.items(s.ref("Fault")), "fault_types": s.mapping(s.OBJECT)})
    started = {
        "fault_type": s.choice(FAULT_TYPES),
        "seconds": s.nullable(s.number("Real time.", exclusiveMinimum=0)),
        "times": s.nullable(s.whole("Hits.", minimum=1)),
    }
    silence = s.struct({"on": s.flag()})
    count = s.struct({"count": s.whole(minimum=0, maximum=MAX_OTHER_CONNECTIONS)})
    return [
        get_route(FAULTS, "/faults", control.list_faults, "The running faults and all fault types.", listed),
        post_route(
            FAULTS,
            "/faults",
            control.start_fault,
            "Starts a fault. More members are its options.",
            s.ref("Fault"),
            body={**s.struct(started, optional="seconds times"), "additionalProperties": True},
            example={"fault_type": "429", "times": 3, "header": False},
        ),
        delete_route(FAULTS, "/faults", control.end_faults, "Ends all faults.", listed),
        delete_route(FAULTS, "/faults/{fault_id}", control.end_faults, "Ends one fault.", listed),
        post_route(
            FAULTS,
            "/disconnect",
            control.disconnect,
            "Resets all long connections.",
            s.struct({"disconnected": s.whole()}),
        ),
        post_route(
            FAULTS,
            "/silence",
            control.silence,
            "Long connections stay open, but nothing is answered or pushed.",
            silence,
            body=s.changes({"on": s.flag(default=True)}),
            example={"on": False},
        ),
        post_route(
            FAULTS,
            "/other-connections",
            control.set_other_connections,
            "Simulates connections of another client of this app.",
            count,
            body=count,
            example={"count": 0},
        ),
    ]


def call_fault_routes(control: ControlApi) -> list[ControlRoute]:
    """Rules for calls."""
    listed = s.struct({"call_faults": s.items(s.ref("CallFault"))})
    optional = " ".join(name for name in s.CALL_FAULT_RULE if name not in ("match", "action"))
    rule = {**s.CALL_FAULT_RULE, "status": s.whole("The same as http_status.")}
    return [
        get_route(FAULTS, "/call-faults", control.list_call_faults, "All rules for calls.", listed),
        post_route(
            FAULTS,
            "/call-faults",
            control.add_call_fault,
            "Adds a rule for calls of the app.",
            s.ref("CallFault"),
            body=s.struct(rule, optional=f"{optional} status"),
            example={"match": "POST /open-apis/im/v1/messages", "action": "code", "code": 230020, "times": 1},
        ),
        delete_route(FAULTS, "/call-faults", control.clear_call_faults, "Removes all rules.", listed),
        delete_route(FAULTS, "/call-faults/{fault_id}", control.clear_call_faults, "Removes a rule.", listed),
    ]


def time_routes(control: ControlApi, snapshots: SnapshotApi) -> list[ControlRoute]:
    """The clock, and the way back to earlier states."""
    clock = s.struct({"now_ms": s.AT_MS, "ahead_seconds": s.number("Against this machine.")})
    seconds = s.number(minimum=0, maximum=MAX_CLOCK_JUMP_SECONDS)
    listed = s.struct({"snapshots": s.items(s.ref("Snapshot"), "Oldest first.")})
    name = "/snapshots/{name}"
    return [
        get_route(TIME, "/clock", control.read_clock, "The time of the sandbox.", clock),
        post_route(
            TIME,
            "/clock",
            control.move_clock,
            "Moves the clock forward and starts the pushes that become due. The fault `clock` moves it back.",
            clock,
            body=s.struct({"seconds": seconds}),
            example={"seconds": 15},
        ),
        post_route(
            TIME,
            "/reset",
            snapshots.reset,
            "Returns to the start world: people, groups, accounts, messages, events, clock, app. Connections, tokens "
            "and snapshots stay; faults and logs end.",
            s.struct({"reset": s.flag()}),
        ),
        get_route(TIME, "/snapshots", snapshots.list, "All snapshots.", listed),
        post_route(
            TIME,
            "/snapshots",
            snapshots.take,
            "Keeps the state under a name. The state file of `--data` keeps snapshots too.",
            s.ref("Snapshot"),
            body=s.struct(
                {"name": s.text("Letters, digits, -, _ and dots.", minLength=1, maxLength=MAX_NAME)}
            ),
            example={"name": "before"},
        ),
        post_route(
            TIME,
            f"{name}/restore",
            snapshots.restore,
            "Returns to a snapshot. Connections and tokens stay; faults and logs end.",
            s.ref("Snapshot"),
        ),
        delete_route(TIME, name, snapshots.delete, "Deletes a snapshot.", listed),
    ]
