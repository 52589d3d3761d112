// A small app on the official SDK: tells each balance event on stdout, sends a text, and answers clicks.
const lark = require('@larksuiteoapi/node-sdk');

const [domain, appId, appSecret] = process.argv.slice(2);
const silent = () => {};
const quiet = { logger: { error: silent, warn: silent, info: silent, debug: silent, trace: silent } };
const api = new lark.Client({ appId, appSecret, domain, ...quiet });

async function send() {
  const sent = await api.im.v1.message.create({
    params: { receive_id_type: 'open_id' },
    data: {
      receive_id: 'ou_sandbox_lin',
      msg_type: 'text',
      content: JSON.stringify({ text: 'balance changed' }),
      uuid: 'once',
    },
  });
  console.log('sent', sent.code);
}

const eventDispatcher = new lark.EventDispatcher(quiet).register({
  'hire.referral_account.assets_update_v1': async (event) => {
    const { point_bonus: points, cash_bonus: cash } = event.assets.confirmed_bonus;
    console.log('event', event.event_id, event.account_id, points, cash[0].currency_type, cash[0].amount);
    send().catch((error) => console.log('failed', error.message));
  },
  'card.action.trigger': async (click) => ({
    toast: { type: 'info', content: click.action.value.op },
    card: {
      type: 'raw',
      data: { schema: '2.0', config: { update_multi: true }, body: { elements: [{ tag: 'hr' }] } },
    },
  }),
});

new lark.WSClient({ appId, appSecret, domain, ...quiet }).start({ eventDispatcher });
