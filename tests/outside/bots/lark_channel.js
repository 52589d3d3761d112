// A bot on the official SDK's LarkChannel. Arguments: domain, app id, app secret.
const lark = require('@larksuiteoapi/node-sdk');

const PICTURE = Buffer.from('89504e470d0a1a0a0000', 'hex');
const [domain, appId, appSecret] = process.argv.slice(2);
const channel = lark.createLarkChannel({ appId, appSecret, domain });

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

async function receive(message) {
  const { chatId, messageId } = message;
  const text = message.content.split(' ').pop();
  if (message.resources[0]?.type === 'image') {
    const found = await channel.rawClient.im.v1.messageResource.get({
      path: { message_id: messageId, file_key: message.resources[0].fileKey },
      params: { type: 'image' },
    });
    let size = 0;
    for await (const chunk of found.getReadableStream()) size += chunk.length;
    await channel.send(chatId, { text: `picture ${size}` });
  } else if (text === 'card') {
    await channel.send(chatId, { card: card('new') });
  } else if (text === 'upload') {
    await channel.send(chatId, { image: { source: PICTURE } });
  } else if (text === 'stream') {
    const markdown = async (stream) => {
      await stream.append('one ');
      await stream.append('two');
    };
    await channel.stream(chatId, { markdown });
  } else if (text === 'react') {
    await channel.addReaction(messageId, 'THUMBSUP');
  } else if (text === 'chat') {
    const chat = await channel.getChatInfo(chatId);
    await channel.send(chatId, { text: `chat ${chat.name}` });
  } else {
    await channel.send(chatId, { text: `echo ${text}` }, { replyTo: messageId });
  }
}

const failed = (error) => console.log('error', error.message, JSON.stringify(error.response?.data));
channel.on('message', (message) => receive(message).catch(failed));
channel.on('cardAction', (click) => {
  // Feishu refuses an update until the callback is answered, and the channel answers it when this function returns.
  setTimeout(() => channel.updateCard(click.messageId, card('shipped')).catch(failed), 300);
});
channel.connect().catch(failed);
