"""Reactions to messages, and the emojis that Feishu knows."""

from notifier.sandbox.chat.events import reaction_event
from notifier.sandbox.chat.publish import Publish
from notifier.sandbox.event_types import REACTION_CREATED, REACTION_DELETED
from notifier.sandbox.tenant import Message, Reaction, Tenant, new_id

_EMOJI_TYPES = """
OK THUMBSUP THANKS MUSCLE FINGERHEART APPLAUSE FISTBUMP JIAYI DONE SMILE BLUSH LAUGH SMIRK LOL FACEPALM LOVE WINK PROUD
WITTY SMART SCOWL THINKING SOB CRY ERROR NOSEPICK HAUGHTY SLAP SPITBLOOD TOASTED GLANCE DULL INNOCENTSMILE JOYFUL WOW
TRICK YEAH ENOUGH TEARS EMBARRASSED KISS SMOOCH DROOL OBSESSED MONEY TEASE SHOWOFF COMFORT CLAP PRAISE STRIVE XBLUSH
SILENT WAVE WHAT FROWN SHY DIZZY LOOKDOWN CHUCKLE WAIL CRAZY WHIMPER HUG BLUBBER WRONGED HUSKY SHHH SMUG ANGRY HAMMER
SHOCKED TERROR PETRIFIED SKULL SWEAT SPEECHLESS SLEEP DROWSY YAWN SICK PUKE BETRAYED HEADSET EatingFood MeMeMe Sigh
Typing Lemon Get LGTM OnIt OneSecond VRHeadset YouAreTheBest SALUTE SHAKE HIGHFIVE UPPERLEFT ThumbsDown SLIGHT TONGUE
EYESCLOSED RoarForYou CALF BEAR BULL RAINBOWPUKE ROSE HEART PARTY LIPS BEER CAKE GIFT CUCUMBER Drumstick Pepper
CANDIEDHAWS BubbleTea Coffee Yes No OKR CheckMark CrossMark MinusOne Hundred AWESOMEN Pin Alarm Loudspeaker Trophy Fire
BOMB Music XmasTree Snowman XmasHat FIREWORKS 2022 REDPACKET FORTUNE LUCK FIRECRACKER StickyRiceBalls HEARTBROKEN POOP
StatusFlashOfInspiration 18X CLEAVER Soccer Basketball GeneralDoNotDisturb Status_PrivateMessage GeneralInMeetingBusy
StatusReading StatusInFlight GeneralBusinessTrip GeneralWorkFromHome StatusEnjoyLife GeneralTravellingCar StatusBus
GeneralSun GeneralMoonRest MoonRabbit Mooncake JubilantRabbit TV Movie Pumpkin BeamingFace Delighted ColdSweat
FullMoonFace Partying GoGoGo ThanksFace SaluteFace Shrug ClownFace HappyDragon
"""
EMOJI_TYPES = frozenset(_EMOJI_TYPES.split())
"""Feishu's emoji types. Case matters."""


class Reactions:
    """Adds and removes reactions, and pushes their events."""

    def __init__(self, tenant: Tenant, publish: Publish) -> None:
        self._tenant = tenant
        self._publish = publish

    def add(
        self, message: Message, operator_id: str, operator_type: str, emoji_type: str
    ) -> tuple[Reaction, list[str]]:
        """Adds a reaction. Returns it and the ids of its events. A repeated one is the same reaction."""
        for reaction in message.reactions:
            if (reaction.operator_id, reaction.emoji_type) == (operator_id, emoji_type):
                return reaction, []
        reaction = Reaction(
            reaction_id=new_id("reaction"),
            emoji_type=emoji_type,
            operator_id=operator_id,
            operator_type=operator_type,
            action_time_ms=self._tenant.clock.now_ms(),
        )
        message.reactions.append(reaction)
        return reaction, self._push(REACTION_CREATED, message, reaction, reaction.action_time_ms)

    def remove(self, message: Message, reaction: Reaction) -> list[str]:
        """Removes a reaction. Returns the ids of its events."""
        message.reactions.remove(reaction)
        return self._push(REACTION_DELETED, message, reaction, self._tenant.clock.now_ms())

    def _push(self, event_type: str, message: Message, reaction: Reaction, at_ms: int) -> list[str]:
        if not self._tenant.has_bot_in(message.chat_id):
            return []
        return self._publish(event_type, reaction_event(self._tenant, message, reaction, at_ms=at_ms), None)
