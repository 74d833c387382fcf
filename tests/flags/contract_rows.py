"""What the tests of the contract are told of flags."""

from uuid_utils.compat import uuid7

from backroom.flags.v1 import flag_service_pb2, flag_set_service_pb2, flag_sets_pb2, proposal_service_pb2
from server.flags.messages.flags import creation
from server.flags.service import Changing
from server.frame.module import now
from storage.flags.store import FLAGS
from storage.frame.records import ChangeContext
from tests.contract.rows import ContractRows
from tests.contract.scenario import Scenario, fresh
from tests.flags.calling import drafted, editing, importing, rolling, scheduling, value


async def keep_flags(scenario: Scenario) -> None:
    """Flags, segments and their set, each by every method that changes one."""
    admin, pb = scenario.admin, flag_service_pb2
    create = pb.CreateFlagRequest(request_id=fresh(), flag=drafted("f"))
    await scenario.change(admin, "CreateFlag", create, "flag//f")
    await scenario.change(admin, "UpdateFlag", editing("f", "owner", owner="web"), "flag//f")
    await scenario.change(admin, "SetRollout", rolling("f", on=10), "flag//f")
    await scenario.change(admin, "SwitchOff", pb.SwitchOffRequest(request_id=fresh(), key="f"), "flag//f")
    await scenario.change(admin, "ArchiveFlag", pb.ArchiveFlagRequest(request_id=fresh(), key="f"), "flag//f")
    back = pb.RollbackFlagRequest(request_id=fresh(), key="f", version=1)
    await scenario.change(admin, "RollbackFlag", back, "flag//f")
    document = {"flags": {"g": {"state": "ENABLED", "variants": {"on": True}}}, "$evaluators": {"s": {"var": "s"}}}
    (imported,) = importing(document)
    await scenario.change(admin, "ImportFlags", imported, "flag_set/", "flag//g", "segment//s")
    await keep_sets(scenario)


async def keep_sets(scenario: Scenario) -> None:
    admin, pb = scenario.admin, flag_set_service_pb2
    segment = flag_sets_pb2.Segment(name="staff", rule=value({"var": "staff"}))
    create = pb.CreateSegmentRequest(request_id=fresh(), segment=segment)
    await scenario.change(admin, "CreateSegment", create, "segment//staff")
    segment.description = "Ours."
    update = pb.UpdateSegmentRequest(request_id=fresh(), segment=segment)
    await scenario.change(admin, "UpdateSegment", update, "segment//staff")
    delete = pb.DeleteSegmentRequest(request_id=fresh(), name="staff")
    await scenario.change(admin, "DeleteSegment", delete, "segment//staff")
    flag_set = flag_sets_pb2.FlagSet(flag_set_id="shop", description="The shop's.")
    changed = pb.UpdateFlagSetRequest(request_id=fresh(), flag_set=flag_set)
    await scenario.change(admin, "UpdateFlagSet", changed, "flag_set/shop")


async def schedule_flags(scenario: Scenario) -> None:
    """A schedule, from its beginning to its end."""
    admin = scenario.admin
    one = "schedule/{answer.schedule.schedule_id}"
    made = await scenario.change(admin, "ScheduleFlagChange", scheduling("f", 3600), one)
    for name in ("Pause", "Resume", "Cancel"):
        request = getattr(flag_service_pb2, f"{name}FlagScheduleRequest")
        message = request(request_id=fresh(), schedule_id=made.schedule.schedule_id)
        await scenario.change(admin, f"{name}FlagSchedule", message, one)


async def decide_on_flags(scenario: Scenario) -> None:
    """Changes that were proposed, as where they need approval."""
    pb, somebody = proposal_service_pb2, await scenario.shop.server.sign_in("admin")
    proposing = Changing(scenario.shop.server.database.store(FLAGS), now, uuid7, approval=True)
    for name, decides in (("Approve", somebody), ("Reject", somebody), ("Withdraw", scenario.admin)):
        assert scenario.admin.account_id is not None
        asked = ChangeContext(scenario.admin.account_id, "test", now())
        proposed = await proposing.change(creation(drafted(name), ""), asked)
        assert proposed.proposal is not None
        proposal_id = str(proposed.proposal.id)
        request = getattr(pb, f"{name}ProposalRequest")(request_id=fresh(), proposal_id=proposal_id)
        resources = [f"proposal/{proposal_id}", *([f"flag//{name}"] if name == "Approve" else [])]
        await scenario.change(decides, f"{name}Proposal", request, *resources)


ROWS = ContractRows(
    changes=(keep_flags, schedule_flags, decide_on_flags),
    everyones={
        **dict.fromkeys(
            [
                ("FlagService/CreateFlag", "flag.flag_set_id"),
                ("FlagService/UpdateFlag", "flag.flag_set_id"),
                ("FlagService/GetFlag", "flag_set_id"),
                ("FlagService/ListFlags", "flag_set_id"),
                ("FlagService/ArchiveFlag", "flag_set_id"),
                ("FlagService/ListFlagVersions", "flag_set_id"),
                ("FlagService/RollbackFlag", "flag_set_id"),
                ("FlagService/ImportFlags", "flag_set_id"),
                ("FlagService/ExportFlags", "flag_set_id"),
                ("FlagService/SetRollout", "flag_set_id"),
                ("FlagService/SwitchOff", "flag_set_id"),
                ("FlagService/ExplainFlag", "flag_set_id"),
                ("FlagService/TryFlag", "flag_set_id"),
                ("FlagService/TryFlag", "edit.flag.flag_set_id"),
                ("FlagService/ScheduleFlagChange", "schedule.flag_set_id"),
                ("FlagService/ListFlagSchedules", "flag_set_id"),
                ("FlagService/GetFlagUsage", "flag_set_id"),
                ("FlagService/ListStaleFlags", "flag_set_id"),
                ("FlagService/ScheduleFlagChange", "schedule.schedule_id"),
                ("FlagService/GetFlagSchedule", "schedule_id"),
                ("FlagService/PauseFlagSchedule", "schedule_id"),
                ("FlagService/ResumeFlagSchedule", "schedule_id"),
                ("FlagService/CancelFlagSchedule", "schedule_id"),
                ("FlagSetService/GetFlagSet", "flag_set_id"),
                ("FlagSetService/UpdateFlagSet", "flag_set.flag_set_id"),
                ("FlagSetService/CreateSegment", "segment.flag_set_id"),
                ("FlagSetService/UpdateSegment", "segment.flag_set_id"),
                ("FlagSetService/GetSegment", "flag_set_id"),
                ("FlagSetService/ListSegments", "flag_set_id"),
                ("FlagSetService/DeleteSegment", "flag_set_id"),
                ("ProposalService/GetProposal", "proposal_id"),
                ("ProposalService/ApproveProposal", "proposal_id"),
                ("ProposalService/RejectProposal", "proposal_id"),
            ],
            "flag sets, schedules and proposals are no caller's: who may read or write flags may do so with all",
        ),
        ("ProposalService/WithdrawProposal", "proposal_id"): (
            "that another's proposal is answered as none is tested where proposals are: in tests/flags"
        ),
        **dict.fromkeys(
            [("FlagSyncService/FetchAllFlags", "provider_id"), ("FlagSyncService/SyncFlags", "provider_id")],
            "flagd's clients name themselves by it, and nothing is looked up",
        ),
    },
)
