import { type Api, asApiError } from './api.js';

/** What a login form shows. */
export interface LoginState {
  pending: boolean;
  error: string | undefined;
}

/**
 * Logs in, and shows in the form how that goes.
 * @returns whether somebody is logged in now
 */
export async function logIn(
  api: Api,
  { username, password }: { username: string; password: string },
  show: (form: LoginState) => void,
): Promise<boolean> {
  show({ pending: true, error: undefined });
  try {
    await api.login(username, password);
    return true;
  } catch (error) {
    const { status, message } = asApiError(error);
    show({ pending: false, error: status === 401 ? 'Name or password is wrong.' : message });
    return false;
  }
}
