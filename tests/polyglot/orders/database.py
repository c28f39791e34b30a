"""PostgreSQL access for orders: a small pool that survives a restart of the database.

A pooled connection may have died since its last use. Work that fails on such a connection is
done again on another one, unless its commit was already sent: then nobody can know whether it
took place, and the failure goes to the caller. It does not queue: the server has fewer threads
than the database has connections, so every thread can have one.
"""

import queue

import psycopg2

IDLE_CONNECTIONS_MAX = 16
CONNECTION_ERRORS = (psycopg2.OperationalError, psycopg2.InterfaceError)


class Database:
    def __init__(self, url):
        self.url = url
        self.idle = queue.LifoQueue(IDLE_CONNECTIONS_MAX)

    def run(self, work):
        """Runs `work(cursor)` in a transaction of its own and returns what it returned."""
        while True:
            connection, fresh = self._take()
            committing = False
            try:
                with connection.cursor() as cursor:
                    result = work(cursor)
                committing = True
                connection.commit()
            except CONNECTION_ERRORS:
                self._close(connection)
                if fresh or committing:
                    raise
                continue  # every round uses up one idle connection, so this ends
            except BaseException:
                connection.rollback()
                self._give_back(connection)
                raise
            self._give_back(connection)
            return result

    def _take(self):
        try:
            return self.idle.get_nowait(), False
        except queue.Empty:
            return psycopg2.connect(self.url, connect_timeout=3), True

    def _give_back(self, connection):
        try:
            self.idle.put_nowait(connection)
        except queue.Full:
            self._close(connection)

    @staticmethod
    def _close(connection):
        try:
            connection.close()
        except CONNECTION_ERRORS:
            pass  # it is gone already
