import { type Api, asApiError } from './api.js';

/** What a login form shows. */
export interface LoginState {
  pending: boolean;
  error: string | undefined;
}

/** @returns why it did not work, for a person to read; undefined where somebody is logged in now */
export async function logIn(api: Api, username: string, password: string): Promise<string | undefined> {
  try {
    await api.login(username, password);
    return undefined;
  } catch (error) {
    const { status, message } = asApiError(error);
    return status === 401 ? 'Name or password is wrong.' : message;
  }
}
