/** One connection that is made when it is needed, shared by those who ask, and made anew after it failed. */

export interface Link<Client> {
  /** Rejects with what the question, or the connecting, threw. */
  use<Answer>(question: (client: Client) => Promise<Answer>): Promise<Answer>;
  close(): Promise<void>;
}

interface Connectable {
  connect(): Promise<void>;
  disconnect(): Promise<void>;
}

export function createLink<Client extends Connectable>(make: () => Client): Link<Client> {
  let connecting: Promise<Client> | null = null;

  function connected(): Promise<Client> {
    connecting ??= (async () => {
      const client = make();
      try {
        await client.connect();
        return client;
      } catch (error) {
        await client.disconnect().catch(() => undefined);
        throw error;
      }
    })();
    return connecting;
  }

  async function discard(failed: Promise<Client> | null): Promise<void> {
    if (failed === null || connecting !== failed) return;
    connecting = null;
    await failed.then((client) => client.disconnect()).catch(() => undefined);
  }

  return {
    async use(question) {
      const connection = connected();
      try {
        return await question(await connection);
      } catch (error) {
        await discard(connection);
        throw error;
      }
    },
    close: () => discard(connecting),
  };
}
