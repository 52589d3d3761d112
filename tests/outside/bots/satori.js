// A bot on @satorijs/adapter-lark, which Koishi uses too. Arguments: domain, app id, app secret.
const HTTP = require('@cordisjs/plugin-http');
const { Context } = require('@satorijs/core');
const lark = require('@satorijs/adapter-lark');

const PICTURE = 'data:image/png;base64,iVBORw0KGgoAAA==';
const [domain, appId, appSecret] = process.argv.slice(2);
const BUTTON = '<button type="input" text="ship">Ship</button>';

async function receive(session) {
  const { bot, channelId, messageId } = session;
  const picture = session.elements.find(({ type }) => type === 'img');
  const text = session.elements.filter(({ type }) => type === 'text').map(({ attrs }) => attrs.content).join('').trim();
  if (picture) {
    const [, id, key] = /messages\/([^/]+)\/resources\/([^/?]+)/.exec(picture.attrs.src);
    const found = await bot.internal.im.message.resource.get(id, key, { type: 'image' });
    await bot.sendMessage(channelId, `picture ${found.byteLength}`);
  } else if (text === 'card') {
    await bot.sendMessage(channelId, `<lark:card update-multi>new ${BUTTON}</lark:card>`);
  } else if (text === 'upload') {
    await bot.sendMessage(channelId, `<img src="${PICTURE}"/>`);
  } else if (text === 'react') {
    await bot.internal.im.message.reaction.create(messageId, { reaction_type: { emoji_type: 'THUMBSUP' } });
  } else if (text === 'chat') {
    const channel = await bot.getChannel(channelId);
    await bot.sendMessage(channelId, `chat ${channel.name}`);
  } else {
    await bot.sendMessage(channelId, `<quote id="${messageId}"/>echo ${text}`);
  }
}

async function click(session) {
  // Feishu refuses an update until the callback is answered, and the adapter answers it after this function began.
  await new Promise((resolve) => setTimeout(resolve, 300));
  const { context } = session.event._data.event;
  await session.bot.editMessage(session.channelId, context.open_message_id, `<lark:card update-multi>shipped ${BUTTON}</lark:card>`);
}

const app = new Context({});
const failed = (error) => console.log('error', error.message, error.errors?.map(({ message }) => message).join());
app.plugin(HTTP.default ?? HTTP);
app.plugin(lark.default ?? lark, {
  protocol: 'ws', platform: 'feishu', appId, appSecret, endpoint: `${domain}/open-apis`, baseURL: domain,
});
app.on('message', (session) => void receive(session).catch(failed));
app.on('interaction/command', (session) => void click(session).catch(failed));
app.start();
