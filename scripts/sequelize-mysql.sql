-- The users of an Express and Sequelize application in MySQL 5.7.22 or MariaDB 10.5 and later, one line
-- of JSON each, for `airside user import`. Change the names of tables and columns to yours. Run it so:
--   mysql --batch --raw --skip-column-names DATABASE < sequelize-mysql.sql > users.jsonl
SELECT JSON_OBJECT(
    'id', u.id,
    'email', u.email,
    'password_hash', u.password,
    'created_at', DATE_FORMAT(u.createdAt, '%Y-%m-%dT%H:%i:%s.%fZ'),
    'roles', JSON_EXTRACT(COALESCE((
        SELECT JSON_ARRAYAGG(r.name) FROM User_Roles ur JOIN Roles r ON r.id = ur.RoleId WHERE ur.UserId = u.id
    ), '[]'), '$'))
FROM Users u ORDER BY u.id;
