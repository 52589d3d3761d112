// A bot on the official SDK's Client and WSClient. Arguments: domain, app id, app secret.
const lark = require('@larksuiteoapi/node-sdk');

const PICTURE = Buffer.from('89504e470d0a1a0a0000', 'hex');
const [domain, appId, appSecret] = process.argv.slice(2);
const api = new lark.Client({ appId, appSecret, domain });

const card = (text) => ({
  schema: '2.0',
  config: { update_multi: true },
  body: {
    elements: [
      { tag: 'markdown', content: text },
      {
        tag: 'button',
        text: { tag: 'plain_text', content: 'Ship' },
        behaviors: [{ type: 'callback', value: { op: 'ship' } }],
      },
    ],
  },
});

async function receive({ message }) {
  const path = { message_id: message.message_id };
  const content = JSON.parse(message.content);
  const text = (content.text ?? '').split(' ').pop();
  const reply = (msgType, answer) =>
    api.im.v1.message.reply({ path, data: { msg_type: msgType, content: JSON.stringify(answer) } });
  if (message.message_type === 'image') {
    const resource = await api.im.v1.messageResource.get({
      path: { ...path, file_key: content.image_key },
      params: { type: 'image' },
    });
    let size = 0;
    for await (const chunk of resource.getReadableStream()) size += chunk.length;
    await reply('text', { text: `picture ${size}` });
  } else if (text === 'card') {
    await reply('interactive', card('new'));
  } else if (text === 'upload') {
    const image = await api.im.v1.image.create({ data: { image_type: 'message', image: PICTURE } });
    await reply('image', { image_key: image.image_key });
  } else if (text === 'react') {
    await api.im.v1.messageReaction.create({ path, data: { reaction_type: { emoji_type: 'THUMBSUP' } } });
  } else if (text === 'chat') {
    const chat = await api.im.v1.chat.get({ path: { chat_id: message.chat_id } });
    await reply('text', { text: `chat ${chat.data.name}` });
  } else {
    await reply('text', { text: `echo ${text}` });
  }
}

const eventDispatcher = new lark.EventDispatcher({}).register({
  'im.message.receive_v1': (event) => {
    receive(event).catch((error) => console.log('error', error.message, JSON.stringify(error.response?.data)));
  },
  'card.action.trigger': async (event) => ({
    toast: { type: 'info', content: event.action.value.op },
    card: { type: 'raw', data: card('shipped') },
  }),
});
new lark.WSClient({ appId, appSecret, domain }).start({ eventDispatcher });
