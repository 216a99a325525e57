import sqlite3

from langchain_core.tools import StructuredTool


class PointsLedger:
    table = "members"

    def __init__(self, path: str = "library.db"):
        self.conn = sqlite3.connect(path, check_same_thread=False)

    # expect: unsafe sql
    def award_points(self, member_id: int, points: int) -> str:
        """Give a member points for the summer challenge."""
        sql = f"UPDATE {self.table} SET points = points + :n, updated = :who WHERE id = :id"
        with self.conn:
            self.conn.execute(sql, dict(n=points, who="agent", id=member_id))
        return "awarded"


ledger = PointsLedger()
award_points_tool = StructuredTool.from_function(ledger.award_points, name="award_points")
