/** Whether this browser is to be notified of rules; remembered, and heard by its other pages as a `storage` event. */

const STORE = "sightline.alerts";

/** @returns {{sound: boolean} | null} null: switched off */
export function alertChoice() {
  try {
    const stored = JSON.parse(localStorage.getItem(STORE));
    return stored && { sound: stored.sound === true };
  } catch {
    return null; // somebody else wrote it
  }
}

export function chooseAlerts(choice) {
  if (choice) localStorage.setItem(STORE, JSON.stringify(choice));
  else localStorage.removeItem(STORE);
}
