// The texts of the preview page in both languages.

import { isEnglish } from "./texts.js";

const TEXTS = {
  template: ["模板", "Template"],
  sample: ["数据", "Data"],
  own: ["自定义", "own"],
  desktop: ["桌面", "Desktop"],
  phone: ["手机", "Phone"],
  findings: ["检查结果", "Findings"],
  none: ["没有问题", "No problems"],
  data: ["模板数据", "Data of the template"],
  fold: ["全部折叠", "Fold all"],
  unfold: ["全部展开", "Unfold all"],
  copy: ["复制", "Copy"],
  copied: ["已复制", "Copied"],
  not_copied: ["浏览器不允许复制", "The browser does not allow copying"],
  audience: ["接收人", "Audience"],
  referrer: ["内推人", "Referrer"],
  group: ["群", "Group"],
  reader_language: ["语言", "Language"],
  zh: ["中文", "中文"],
  en: ["English", "English"],
  theme: ["外观", "Theme"],
  light: ["浅色", "Light"],
  dark: ["深色", "Dark"],
  watching: ["保存文件后自动更新 · 不会发送", "Updates when a file is saved · nothing is sent"],
  not_watching: ["仅供预览，不会发送", "Preview only, nothing is sent"],
  lost: ["与 notifier preview 的连接已断开", "The connection to notifier preview is lost"],
  last_good: ["下面是上一次成功的卡片。", "The card below is the last good one."],
  line: ["{file} 第 {line} 行", "{file}, line {line}"],
  size: ["{n} 字节", "{n} bytes"],
  no_withdrawal: ["预览中的按钮不会提现", "Buttons in a preview do not withdraw"],
  more: ["…（共 {n} 字）", "… ({n} characters)"],
};

export function say(key, values = {}) {
  return TEXTS[key][isEnglish() ? 1 : 0].replace(/\{(\w+)\}/g, (whole, name) => (Object.hasOwn(values, name) ? String(values[name]) : whole));
}
