// A webhook on the official SDK: tells each balance event on stdout. The first line is its address.
const http = require('http');
const lark = require('@larksuiteoapi/node-sdk');

const [encryptKey, verificationToken] = process.argv.slice(2);
const silent = () => {};
const logger = { error: silent, warn: silent, info: silent, debug: silent, trace: silent };
const eventDispatcher = new lark.EventDispatcher({ encryptKey, verificationToken, logger }).register({
  'hire.referral_account.assets_update_v1': async (event) => {
    console.log('event', event.event_id, event.account_id, event.assets.confirmed_bonus.point_bonus);
  },
});
const server = http.createServer();
server.on('request', lark.adaptDefault('/events', eventDispatcher, { autoChallenge: true }));
server.listen(0, '127.0.0.1', () => console.log(`http://127.0.0.1:${server.address().port}/events`));
