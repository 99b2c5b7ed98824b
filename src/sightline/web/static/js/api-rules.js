/** Watches and rules over HTTP: only their own places load this. */

import { asJson, call } from "./api.js";

export const listWatches = (signal) => call("/api/v1/watches", { signal, cache: "no-store" }).then((body) => body.watches);
export const beginWatch = (wish) => call("/api/v1/watches", asJson(wish));
export const changeWatch = (id, wish) => call(`/api/v1/watches/${encodeURIComponent(id)}`, { ...asJson(wish), method: "PUT" });
export const endWatch = (id) => call(`/api/v1/watches/${encodeURIComponent(id)}`, { method: "DELETE" });
export const listRules = (signal) => call("/api/v1/rules", { signal, cache: "no-store" }).then((body) => body.rules);
export const listRuleWords = (signal) => call("/api/v1/rules/words", { signal, cache: "no-store" }).then((body) => body.words);
export const createRule = (wish) => call("/api/v1/rules", asJson(wish));
export const deleteRule = (id) => call(`/api/v1/rules/${encodeURIComponent(id)}`, { method: "DELETE" });
export const testRule = (id) => call(`/api/v1/rules/${encodeURIComponent(id)}/test`, { method: "POST" });
export const listDeliveries = (signal) => call("/api/v1/deliveries?limit=50", { signal, cache: "no-store" }).then((body) => body.deliveries);
export const retryDelivery = (id) => call(`/api/v1/deliveries/${encodeURIComponent(id)}/retry`, { method: "POST" });
