// A bot on the SDK's LarkChannel, which asks who it is before it connects; it uploads bytes that have no file name.
const lark = require('@larksuiteoapi/node-sdk');

const [domain, appId, appSecret] = process.argv.slice(2);
const silent = () => {};
const logger = { error: silent, warn: silent, info: silent, debug: silent, trace: silent };
const channel = lark.createLarkChannel({ appId, appSecret, domain, logger });

async function main() {
  await channel.connect();
  console.log('connected', channel.botIdentity.openId);
  const file = Buffer.from([0, 255, 1, 254]);
  const uploaded = await channel.rawClient.im.v1.file.create({ data: { file_type: 'stream', file_name: 'a.bin', file } });
  console.log('file', uploaded.file_key);
  const png = Buffer.from('89504e470d0a1a0a', 'hex');
  const image = await channel.rawClient.im.v1.image.create({ data: { image_type: 'message', image: png } });
  console.log('image', image.image_key);
  try {
    await channel.rawClient.request({ method: 'GET', url: '/open-apis/calendar/v4/calendars' });
  } catch (error) {
    console.log('unknown', error.response.data.code, error.response.data.msg);
  }
}

main().catch((error) => console.log('failed', error.message));
